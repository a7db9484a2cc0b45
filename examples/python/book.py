#!/usr/bin/env python3
"""Keeps one order book: joins the delta stream to a snapshot, checks every sequence, and heals by itself.

    pip install pyzmq
    python book.py book.bybit.linear.BTCUSDT. [CHANGES]

Prints the best bid and ask after each change; docs/WIRE.md explains every step.
"""
import json
import os
import sys
from decimal import Decimal

import zmq

BUS = os.environ.get("TICKBUS_BUS", "tcp://127.0.0.1:5555")
SNAPSHOT = os.environ.get("TICKBUS_SNAPSHOT", "tcp://127.0.0.1:5556")


class Book:
    """Levels as {price: size}, and the place in the delta stream they belong to."""

    def __init__(self, frame, seq):
        self.epoch, self.seq = frame["epoch"], seq
        self.bids, self.asks = {}, {}
        self.put(frame)

    def put(self, frame):
        for side, levels in ((self.bids, frame["bids"]), (self.asks, frame["asks"])):
            for price, size in levels:  # Decimal: 0.10 and 0.1 are the same level
                if Decimal(size) == 0:
                    side.pop(Decimal(price), None)
                else:
                    side[Decimal(price)] = size

    def __str__(self):
        bid, ask = max(self.bids, default=None), min(self.asks, default=None)
        return f"{self.seq:>8}  {bid} x {self.bids.get(bid)}  |  {ask} x {self.asks.get(ask)}"


def subscribe(context, book_topic):
    sub = context.socket(zmq.SUB)
    sub.rcvhwm = 100_000  # deltas wait here while the snapshot is fetched
    sub.rcvtimeo = 5_000  # never reached while the gateway lives: a heartbeat comes each second
    sub.connect(BUS)
    # The status comes last: the gateway answers it at once, and by then the deltas are subscribed to.
    for prefix in ("heartbeat.", book_topic.replace("book.", "delta.", 1), book_topic.replace("book.", "status.", 1)):
        sub.subscribe(prefix)
    return sub


def fetch(context, book_topic):
    """The whole book as it is now, or None if it is not live."""
    with context.socket(zmq.REQ) as req:
        req.linger, req.rcvtimeo = 0, 2_000
        req.connect(SNAPSHOT)
        req.send_json({"op": "snapshot", "topic": book_topic})
        try:
            parts = req.recv_multipart()
        except zmq.Again:
            return None
    if len(parts) == 1:
        return print("no snapshot:", parts[0].decode(), file=sys.stderr)
    frame = json.loads(parts[1])
    return Book(frame, frame["delta_seq"])


def main():
    topic, changes = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None
    context, book = zmq.Context(), None
    sub = subscribe(context, topic)
    while changes is None or changes > 0:
        try:
            payload = sub.recv_multipart()[1]
        except zmq.Again:
            book = print("the gateway is silent: book unknown", file=sys.stderr)
            continue
        frame = json.loads(payload)
        if frame["type"] == "status" and frame.get("channel", "book") == "book":
            # Live: it begins, it healed, or we are connected again and may have missed deltas. Ask in every case.
            print("status:", frame["state"], frame.get("reason", ""), frame.get("detail", ""), file=sys.stderr)
            book = fetch(context, topic) if frame["state"] == "live" else None
        elif frame["type"] == "delta":
            same_run = book is not None and frame["epoch"] == book.epoch
            if same_run and frame["seq"] <= book.seq:
                continue  # the snapshot has it already
            if frame.get("snapshot"):
                book = Book(frame, frame["seq"])
            elif same_run and frame["seq"] == book.seq + 1:
                book.put(frame)
                book.seq = frame["seq"]
            elif book is not None:  # deltas were lost on the way to us, or this is another run
                print("deltas lost: fetching the book anew", file=sys.stderr)
                book = fetch(context, topic)
            if book is not None:
                print(book, flush=True)
                changes = changes and changes - 1


main()
