#!/usr/bin/env bash
# Builds tickbus and runs it:
#   scripts/run.sh [OPTION…]    the gateway, on the project's config.json unless --config or TICKBUS_CONFIG says otherwise
#   scripts/run.sh demo         a simulated venue, a gateway and a printer; no network, no account
#   scripts/run.sh WORD…        any other command: check, sim, ctl status, …
#
# TICKBUS_BIN names a program to run instead of building one.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() {
    printf 'run.sh: %s\n' "$*" >&2
    exit 1
}

# Prints nothing on stdout: that belongs to the program.
build() {
    # A toolchain that was installed for this user may not be on PATH in a shell without login.
    if ! command -v cargo >/dev/null && [[ -x ${CARGO_HOME:-$HOME/.cargo}/bin/cargo ]]; then
        export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    fi
    command -v cargo >/dev/null || fail "cargo is missing: install Rust from https://rustup.rs"
    command -v cc >/dev/null ||
        fail "a C compiler is missing (ring and zstd need one): apt-get install build-essential"
    cargo build --release --locked --bins --manifest-path "$root/Cargo.toml" >&2
}

# Venues are reached over TLS, with the system's certificates. Everything else works without.
warn_without_certificates() {
    local place
    for place in "${SSL_CERT_FILE:-}" "${SSL_CERT_DIR:-}" /etc/ssl/certs/ca-certificates.crt \
        /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
        [[ -z $place || ! -e $place ]] || return 0
    done
    echo "run.sh: no CA certificates found, so venues cannot be reached: apt-get install ca-certificates" >&2
}

if [[ -z ${TICKBUS_BIN:-} ]]; then
    build
    TICKBUS_BIN="${CARGO_TARGET_DIR:-$root/target}/release/tickbus"
fi
if [[ $PWD != "$root" ]]; then
    export TICKBUS_CONFIG="${TICKBUS_CONFIG:-$root/config.json}"
fi

case ${1:-} in
    -h | --help | -V | --version) exec "$TICKBUS_BIN" "$@" ;;
    "" | -*) set -- run "$@" ;;
esac
if [[ $1 == run || $1 == record ]]; then
    warn_without_certificates
fi
exec "$TICKBUS_BIN" "$@"
