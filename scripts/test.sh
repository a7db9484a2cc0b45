#!/usr/bin/env bash
# Every check and test of the project, as CI runs them: scripts/test.sh
#
# Needs a Rust toolchain with rustfmt and clippy, and a C compiler. Uses python3, node, shellcheck, redis-server,
# cargo-deny and cargo-nextest where they are there, and says so where they are not. Downloads only crates, for the Python clients pyzmq,
# pybit and redis, and for the Node clients zeromq; as root also the Debian packages of node, shellcheck and redis-server.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Versions that the Python clients in tests/python were written for.
readonly PYTHON_PACKAGES=(pyzmq==27.3.0 pybit==5.17.0 redis==8.1.0)
readonly VENV=target/test-venv
# The version that examples/node and tests/node were written for.
readonly NODE_PACKAGES=(zeromq@6.8.0)
readonly NODE_FOLDER=target/test-node

step() {
    printf '\n== %s\n' "$*"
}

skip() {
    printf 'skipped: %s\n' "$*"
}

# A toolchain that was installed for this user may not be on PATH in a shell without login.
find_cargo() {
    if ! command -v cargo >/dev/null && [[ -x ${CARGO_HOME:-$HOME/.cargo}/bin/cargo ]]; then
        export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    fi
    if ! command -v cargo >/dev/null; then
        echo "cargo is missing: install Rust from https://rustup.rs" >&2
        exit 1
    fi
    if ! command -v cc >/dev/null; then
        echo "a C compiler is missing (ring and zstd need one): apt-get install build-essential" >&2
        exit 1
    fi
}

# Sets TICKBUS_TEST_PYTHON, unless the caller did; tests that need it say that they are skipped without it.
prepare_python() {
    if [[ -n ${TICKBUS_TEST_PYTHON:-} ]]; then
        return
    fi
    local stamp="$VENV/packages"
    if [[ ! -f $stamp || $(<"$stamp") != "${PYTHON_PACKAGES[*]}" ]]; then
        rm -rf "$VENV"
        if ! { python3 -m venv "$VENV" && "$VENV/bin/pip" install --quiet "${PYTHON_PACKAGES[@]}"; } >/dev/null 2>&1; then
            rm -rf "$VENV"
            skip "tests with Python clients: no python3 with venv and pip, or no PyPI (apt-get install python3-venv)"
            return
        fi
        printf '%s' "${PYTHON_PACKAGES[*]}" >"$stamp"
    fi
    export TICKBUS_TEST_PYTHON="$PWD/$VENV/bin/python"
}

# Installs Debian packages if we may; whether that worked shows in what is there afterwards.
install_packages() {
    if [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
        { apt-get install --yes --quiet "$@" || { apt-get update && apt-get install --yes --quiet "$@"; }; } \
            </dev/null >/dev/null 2>&1 || true
    fi
}

# Sets TICKBUS_TEST_NODE to a folder with the packages, unless the caller did; tests that need it say that they are skipped
# without it. The packages bring their own compiled parts: no script of theirs is run.
prepare_node() {
    if [[ -n ${TICKBUS_TEST_NODE:-} ]]; then
        return
    fi
    if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
        install_packages nodejs npm
    fi
    local stamp="$NODE_FOLDER/packages"
    if [[ ! -f $stamp || $(<"$stamp") != "${NODE_PACKAGES[*]}" ]]; then
        rm -rf "$NODE_FOLDER"
        mkdir -p "$NODE_FOLDER"
        if ! npm install --prefix "$NODE_FOLDER" --ignore-scripts --no-save --no-audit --no-fund "${NODE_PACKAGES[@]}" \
            >/dev/null 2>&1; then
            rm -rf "$NODE_FOLDER"
            skip "tests with Node clients: no node with npm, or no npm registry (apt-get install nodejs npm)"
            return
        fi
        printf '%s' "${NODE_PACKAGES[*]}" >"$stamp"
    fi
    export TICKBUS_TEST_NODE="$PWD/$NODE_FOLDER"
}

# The tests start servers of their own; the one that the package would start is not wanted.
prepare_redis() {
    if ! command -v redis-server >/dev/null; then
        RUNLEVEL=1 install_packages redis-server
    fi
    if ! command -v redis-server >/dev/null; then
        skip "tests with Redis: no redis-server (apt-get install redis-server)"
    fi
}

check_scripts() {
    if ! command -v shellcheck >/dev/null; then
        install_packages shellcheck
    fi
    local scripts=(.ci/run)
    while IFS= read -r -d '' script; do
        scripts+=("$script")
    done < <(find scripts examples -type f -name '*.sh' -print0 2>/dev/null)
    local script
    for script in "${scripts[@]}"; do
        bash -n "$script"
    done
    if command -v shellcheck >/dev/null; then
        shellcheck "${scripts[@]}"
    else
        skip "shellcheck is not installed (apt-get install shellcheck)"
    fi
}

# Advisories change without us: `cargo deny check advisories`, where GitHub can be reached.
check_dependencies() {
    if cargo deny --version >/dev/null 2>&1; then
        cargo deny --locked --offline check bans licenses sources
    else
        skip "licences, duplicates and sources of dependencies: no cargo-deny (cargo install --locked cargo-deny)"
    fi
}

run_tests() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --locked --no-fail-fast
        cargo test --locked --doc
    else
        cargo test --locked --no-fail-fast
    fi
}

find_cargo

step "formatting"
cargo fmt --check

step "scripts"
check_scripts

step "lints"
cargo clippy --locked --all-targets -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

step "dependencies"
check_dependencies

step "tests"
prepare_python
prepare_node
prepare_redis
run_tests

step "all passed"
