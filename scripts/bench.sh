#!/bin/sh
# Measures the gateway and prints each figure beside its target. Takes under five minutes once built.
#   scripts/bench.sh [--quick]
# The end-to-end part needs a C compiler and libzmq's headers; missing, they are installed where apt can do it, and
# left out with a word otherwise.
set -eu
cd "$(dirname "$0")/.."

case "${1-}" in
    "" | --quick) ;;
    *) echo "usage: scripts/bench.sh [--quick]" >&2; exit 2 ;;
esac

has_libzmq() {
    printf '#include <zmq.h>\nint main(void) { return zmq_errno(); }\n' | cc -x c -o /dev/null - -lzmq 2>/dev/null
}

if ! has_libzmq && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    { apt-get install -y gcc libzmq3-dev || { apt-get update && apt-get install -y gcc libzmq3-dev; }; } >/dev/null 2>&1 || true
fi

cargo build --release --locked --bins --bench pipeline --bench end_to_end --bench terminal
echo "== pipeline, in process"
cargo bench --locked --bench pipeline -- "$@"
echo
echo "== a terminal's calls and events"
cargo bench --locked --bench terminal -- "$@"
echo
echo "== allocations and memory"
cargo test --release --locked --test allocations -- --nocapture
echo
echo "== end to end"
if has_libzmq; then
    sink=target/release/bench-sink
    cc -O2 -D_GNU_SOURCE -o "$sink" benches/end_to_end/sink.c -lzmq
    TICKBUS_BENCH_SINK="$PWD/$sink" cargo bench --locked --bench end_to_end -- "$@"
else
    echo "left out: needs a C compiler and libzmq3-dev"
fi
