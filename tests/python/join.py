"""Joins the deltas of one book to its snapshot, again and again, as docs/WIRE.md says, and compares every joined book
with the `book.` frames. Prints `joined N`, or dies of an assertion. JSON and MessagePack payloads.

Arguments: book topic, how often. TICKBUS_BUS and TICKBUS_SNAPSHOT name the gateway's endpoints."""
import json
import os
import random
import sys
from decimal import Decimal

import zmq

BUS, SNAPSHOT = os.environ["TICKBUS_BUS"], os.environ["TICKBUS_SNAPSHOT"]
TOPIC, ROUNDS = sys.argv[1].encode(), int(sys.argv[2])


def unpack(data, at=0):
    """The part of MessagePack that docs/WIRE.md names."""
    code = data[at]
    at += 1
    if code < 0x80:
        return code, at
    if code in (0xC2, 0xC3):
        return code == 0xC3, at
    if code in (0xCC, 0xCD, 0xCE, 0xCF):
        size = 1 << (code - 0xCC)
        return int.from_bytes(data[at : at + size], "big"), at + size
    if 0xA0 <= code < 0xC0 or code in (0xD9, 0xDA, 0xDB):
        size, at = (code & 31, at) if code < 0xC0 else length(data, at, code - 0xD9)
        return data[at : at + size].decode(), at + size
    if 0x90 <= code < 0xA0 or code in (0xDC, 0xDD):
        size, at = (code & 15, at) if code < 0xA0 else length(data, at, code - 0xDB)
        items = []
        for _ in range(size):
            item, at = unpack(data, at)
            items.append(item)
        return items, at
    if 0x80 <= code < 0x90 or code in (0xDE, 0xDF):
        size, at = (code & 15, at) if code < 0x90 else length(data, at, code - 0xDD)
        fields = {}
        for _ in range(size):
            key, at = unpack(data, at)
            fields[key], at = unpack(data, at)
        return fields, at
    raise ValueError(f"MessagePack code {code:#x}")


def length(data, at, power):
    size = 1 << power
    return int.from_bytes(data[at : at + size], "big"), at + size


def read(payload):
    return json.loads(payload) if payload[:1] == b"{" else unpack(payload)[0]


def put(book, frame):
    for side in ("bids", "asks"):
        for price, size in frame[side]:
            if Decimal(size) == 0:
                book[side].pop(Decimal(price), None)
            else:
                book[side][Decimal(price)] = (price, size)


def best(book, side, most):
    prices = sorted(book[side], reverse=side == "bids")[:most]
    return [list(book[side][price]) for price in prices]


def receive(sub):
    topic, payload = sub.recv_multipart()
    return topic, read(payload)


def join(sub, req):
    """One join at a random moment."""
    waiting = [receive(sub) for _ in range(random.randrange(20))]
    req.send_json({"op": "snapshot", "topic": TOPIC.decode()})
    while not req.poll(0):
        if sub.poll(5):
            waiting.append(receive(sub))
    topic, payload = req.recv_multipart()
    assert topic == TOPIC
    image = read(payload)
    book, seq = {"bids": {}, "asks": {}}, image["delta_seq"]
    put(book, image)
    compared = 0
    while compared < 5:
        topic, frame = waiting.pop(0) if waiting else receive(sub)
        if topic.startswith(b"delta."):
            if frame["seq"] <= seq:
                continue
            assert (frame["epoch"], frame["seq"]) == (image["epoch"], seq + 1), frame
            put(book, frame)
            seq = frame["seq"]
        elif topic == TOPIC and frame["delta_seq"] == seq:
            for side in ("bids", "asks"):
                assert best(book, side, frame["depth"]) == frame[side], f"{side} differ at {seq}"
            compared += 1


def main():
    random.seed(5)
    context = zmq.Context()
    sub = context.socket(zmq.SUB)
    sub.connect(BUS)
    sub.subscribe(TOPIC)
    sub.subscribe(TOPIC.replace(b"book.", b"delta."))
    req = context.socket(zmq.REQ)
    req.connect(SNAPSHOT)
    # The gateway may not be live yet: its first delta says so.
    while not receive(sub)[0].startswith(b"delta."):
        pass
    for _ in range(ROUNDS):
        join(sub, req)
    print("joined", ROUNDS, flush=True)


main()
