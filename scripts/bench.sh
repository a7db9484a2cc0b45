#!/bin/sh
# Measures the gateway and prints each figure beside its target. Takes some ten minutes once built, three with --quick.
#   scripts/bench.sh [--quick]
# The bus and the end-to-end parts need a C compiler and libzmq's headers; missing, they are installed where apt can do
# it, and left out with a word otherwise.
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

cargo build --release --locked --bins --bench pipeline --bench depth --bench bus --bench end_to_end --bench terminal --bench redis --bench sign --bench tables
echo "== pipeline, in process"
cargo bench --locked --bench pipeline -- "$@"
echo
echo "== depth of Binance, in process"
cargo bench --locked --bench depth -- "$@"
echo
echo "== signing"
cargo bench --locked --bench sign -- "$@"
echo
echo "== tables"
cargo bench --locked --bench tables -- "$@"
echo
echo "== a terminal's calls and events"
cargo bench --locked --bench terminal -- "$@"
echo
echo "== the Redis sink"
if ! command -v redis-server >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    # The package would start a server of its own.
    { RUNLEVEL=1 apt-get install -y redis-server || { apt-get update && RUNLEVEL=1 apt-get install -y redis-server; }; } >/dev/null 2>&1 || true
fi
if command -v redis-server >/dev/null; then
    cargo bench --locked --bench redis -- "$@"
else
    echo "left out: it needs redis-server"
fi
echo
echo "== allocations and memory"
cargo test --release --locked --test allocations -- --nocapture
echo
if ! has_libzmq; then
    echo "left out: the bus against libzmq, and end to end. They need a C compiler and libzmq3-dev"
    exit 0
fi
# Compiles one of the C programs beside the benches and prints where it is.
compiled() {
    cc -O2 -D_GNU_SOURCE -o "target/release/$2" "$1" -lzmq
    echo "$PWD/target/release/$2"
}
echo "== bus, against libzmq"
TICKBUS_BENCH_BUS_SINK=$(compiled benches/bus/sink.c bench-bus-sink)
TICKBUS_BENCH_BUS_PUBLISHER=$(compiled benches/bus/publisher.c bench-bus-publisher)
export TICKBUS_BENCH_BUS_SINK TICKBUS_BENCH_BUS_PUBLISHER
cargo bench --locked --bench bus -- "$@"
echo
echo "== end to end"
TICKBUS_BENCH_SINK=$(compiled benches/end_to_end/sink.c bench-sink)
export TICKBUS_BENCH_SINK
cargo bench --locked --bench end_to_end -- "$@"
