"""Reads a simulated venue with pybit, the venue's own Python client, as its users do.

usage: pybit_client.py HOST:PORT
Exits 0 when the books stay in sequence and uncrossed, and trades come in.
"""

import signal
import sys
import threading

from pybit import unified_trading

WANTED_BOOKS = 100
WANTED_TRADES = 5


class Watch:
    """What came in so far, and whether it was right."""

    def __init__(self):
        self.books = 0
        self.trades = 0
        self.last_u = None
        self.problem = None
        self.done = threading.Event()

    def book(self, message):
        data = message["data"]
        if message["type"] == "delta" and self.last_u is not None and data["u"] != self.last_u + 1:
            self.fail(f"u {self.last_u} is followed by {data['u']}")
        self.last_u = data["u"]
        # pybit hands out the whole book, merged, in no particular order.
        bids = [float(price) for price, _ in data["b"]]
        asks = [float(price) for price, _ in data["a"]]
        if not 45 <= len(bids) <= 50 or not 45 <= len(asks) <= 50:
            self.fail(f"{len(bids)} bids and {len(asks)} asks")
        elif max(bids) >= min(asks):
            self.fail(f"crossed: {max(bids)} >= {min(asks)}")
        self.books += 1
        self.check()

    def trade(self, message):
        for trade in message["data"]:
            if trade["S"] not in ("Buy", "Sell") or float(trade["p"]) <= 0:
                self.fail(f"odd trade {trade}")
            self.trades += 1
        self.check()

    def check(self):
        if self.books >= WANTED_BOOKS and self.trades >= WANTED_TRADES:
            self.done.set()

    def fail(self, problem):
        self.problem = self.problem or problem
        self.done.set()


def main():
    signal.alarm(40)  # whatever happens, the test ends
    address = sys.argv[1]
    # pybit makes its address from constants: point them at the simulated venue, without TLS.
    unified_trading.PUBLIC_WSS = f"ws://{address}/v5/public/{{CHANNEL_TYPE}}"
    watch = Watch()
    client = unified_trading.WebSocket(testnet=False, channel_type="linear", ping_interval=5, ping_timeout=2)
    client.orderbook_stream(50, "BTCUSDT", watch.book)
    client.trade_stream("BTCUSDT", watch.trade)
    finished = watch.done.wait(20)
    # No client.exit(): pybit 5.17 waits there for ever when its reader thread ends first. Its threads are daemons.
    if watch.problem or not finished:
        sys.exit(watch.problem or f"only {watch.books} books and {watch.trades} trades in 20 s")
    print(f"pybit read {watch.books} books and {watch.trades} trades")


if __name__ == "__main__":
    main()
