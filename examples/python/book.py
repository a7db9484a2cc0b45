"""Keeps one order book: joins the delta stream to a snapshot, checks every sequence, and heals by itself.

    pip install pyzmq; python book.py book.bybit.linear.BTCUSDT. [CHANGES [whole]]

Prints the best bid and ask after each change, or the whole book. docs/WIRE.md explains every step.
"""
import asyncio
import json
import os
import sys
from decimal import Decimal

import zmq.asyncio
import zmq.auth

BUS = os.environ.get("TICKBUS_BUS", "tcp://127.0.0.1:5555")
SNAPSHOT = os.environ.get("TICKBUS_SNAPSHOT", "tcp://127.0.0.1:5556")


def connect(kind, endpoint):
    socket = zmq.asyncio.Context.instance().socket(kind)
    socket.linger, socket.rcvhwm, socket.rcvtimeo = 0, 100_000, 5_000  # ms; a heartbeat comes each second
    if "TICKBUS_KEY" in os.environ:  # files as `tickbus keygen` makes them
        socket.curve_serverkey = zmq.auth.load_certificate(os.environ["TICKBUS_SERVER_KEY"])[0]
        socket.curve_publickey, socket.curve_secretkey = zmq.auth.load_certificate(os.environ["TICKBUS_KEY"])
    socket.connect(endpoint)
    return socket


class Book:
    """Levels as {price: size}, and the place in the delta stream they belong to."""

    def __init__(self, frame):
        self.epoch, self.bids, self.asks = frame["epoch"], {}, {}
        self.put(frame)

    def put(self, frame):
        self.seq = frame.get("delta_seq", frame["seq"])  # a snapshot tells which deltas it includes
        for side, levels in ((self.bids, frame["bids"]), (self.asks, frame["asks"])):
            for price, size in levels:
                side[Decimal(price)] = size  # Decimal: 0.10 and 0.1 are the same level
                if Decimal(size) == 0:
                    del side[Decimal(price)]

    def text(self, whole):
        bids, asks = sorted(self.bids.items(), reverse=True), sorted(self.asks.items())
        if whole:
            return json.dumps({"epoch": self.epoch, "seq": self.seq, "bids": bids, "asks": asks}, default=str)
        best = ("{} x {}".format(*side[0]) if side else "none" for side in (bids, asks))
        return f"{self.seq:>8}  {'  |  '.join(best)}"


async def fetch(topic):
    """The whole book as it is now, or None if it is not live."""
    with connect(zmq.REQ, SNAPSHOT) as req:
        await req.send_json({"op": "snapshot", "topic": topic})
        parts = await req.recv_multipart() if await req.poll(2_000) else []
    return Book(json.loads(parts[1])) if len(parts) == 2 else None


async def follow(topic):
    """Yields the book after each change, and None when it becomes unknown: do not trade until the next one."""
    delta, status = topic.replace("book.", "delta.", 1), topic.replace("book.", "status.", 1)
    sub = connect(zmq.SUB, BUS)
    for prefix in ("heartbeat.", delta, status):  # the status last: it comes at once, and proves the others
        sub.subscribe(prefix)
    book, live = None, False
    while True:
        before = book and (book.epoch, book.seq)
        try:
            frame = json.loads((await sub.recv_multipart())[1])
        except zmq.Again:
            frame = {"type": "silence", "epoch": 0}
        kind, same_run = frame["type"], book is not None and frame["epoch"] == book.epoch
        if kind == "status" and frame.get("channel", "book") == "book":
            print(frame["state"], frame.get("reason", ""), frame.get("detail", ""), file=sys.stderr)
            live, book = frame["state"] == "live", None  # live again: connected anew, and deltas may be lost
        elif kind == "delta" and same_run and frame["seq"] <= book.seq:
            pass  # the snapshot has it already
        elif kind == "delta" and frame.get("snapshot"):
            book = Book(frame)
        elif kind == "delta" and same_run and frame["seq"] == book.seq + 1:
            book.put(frame)
        elif kind in ("delta", "silence") or not same_run or frame.get("topics", {}).get(delta, 0) > book.seq:
            book = None  # deltas were lost, maybe the last ones; the gateway is gone, or is another run
        if book is None and live and kind != "silence" and (before or kind != "delta"):
            book = await fetch(topic)
        if before != (book and (book.epoch, book.seq)):
            yield book


async def main(topic, changes=0, whole=False):
    left = int(changes)
    async for book in follow(topic):
        print(book.text(whole) if book else "book unknown", flush=True)
        if book and (left := left - 1) == 0:
            return


asyncio.run(main(*sys.argv[1:]))
