"""Follows one symbol in Redis, where the gateway's Redis sink keeps it: the latest values first, then every change.

    python latest.py [VENUE:MARKET:SYMBOL] [COUNT]

Needs the package redis. TICKBUS_REDIS names another server than redis://127.0.0.1:6379/0.
"""

import json
import os
import sys
import time

try:
    import redis
except ImportError:
    sys.exit(print("skipped: the package redis is missing (pip install redis)"))

PREFIX = "tickbus"


def latest(server, symbol):
    """The latest values; what is not known to be true now has no key, and its status says why."""
    if not server.exists(f"{PREFIX}:heartbeat"):
        print("the gateway is gone: nothing here is current", flush=True)
        return {}
    keys = {channel: f"{PREFIX}:{channel}:{symbol}" for channel in ("status", "book", "ticker")}
    return {channel: server.hgetall(key) for channel, key in keys.items()}


def show(channel, value):
    if channel == "book":
        # From a hash the levels are texts, from a publication they are lists.
        bids, asks = (json.loads(side) if isinstance(side, str) else side for side in (value["bids"], value["asks"]))
        print("book", value["seq"], *(bids[0] if bids else ["no bids"]), *(asks[0] if asks else ["no asks"]), flush=True)
    elif channel == "status":
        print("status", value["state"], value.get("reason", ""), flush=True)
    elif channel == "trade":
        print("trade", value["side"], value["size"], "at", value["price"], flush=True)
    else:
        print(channel, value.get("last", ""), flush=True)


def main():
    symbol = sys.argv[1] if len(sys.argv) > 1 else "bybit:linear:BTCUSDT"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    server = redis.Redis.from_url(os.environ.get("TICKBUS_REDIS", "redis://127.0.0.1:6379/0"), decode_responses=True)

    # Subscribe first and read then: what changes in between comes twice, and nothing is missed.
    channels = server.pubsub(ignore_subscribe_messages=True)
    topic = symbol.replace(":", ".")
    channels.subscribe(*(f"{channel}.{topic}." for channel in ("status", "book", "ticker", "trade")))
    seen = {}
    while "book" not in seen and "ticker" not in seen:
        for channel, value in latest(server, symbol).items():
            if value and channel != "status":
                show(channel, value)
                seen[channel] = (int(value["epoch"]), int(value["seq"]))
        time.sleep(0.1)
    shown = len(seen)
    for message in channels.listen():
        channel = message["channel"].split(".")[0]
        value = json.loads(message["data"])
        if (value["epoch"], value["seq"]) <= seen.get(channel, (0, 0)):
            continue
        show(channel, value)
        shown += 1
        if 0 < count <= shown:
            return


if __name__ == "__main__":
    main()
