"""Does what a program written for okws does, through Redis alone, and checks what it finds: commands on `trade-ws`, answers
polled at `trade-ws/info/<id>`, hashes, sorted sets and publications under `okex/<name>/`."""

import json
import os
import sys
import time

try:
    import redis
except ImportError:
    sys.exit(print("skipped: the package redis is missing (pip install redis)"))

DEADLINE = 30


class Client:
    """Sends commands and reads data in the way of okws's own client."""

    def __init__(self, url):
        self.redis = redis.Redis.from_url(url, decode_responses=True)
        self.id = id(self)

    def command(self, op, name=None, args=None):
        command = {"op": op, "id": self.id}
        if name is not None:
            command["name"] = name
        if args is not None:
            command["args"] = args
        answer_key = f"trade-ws/info/{self.id}"
        self.redis.delete(answer_key)
        wait(lambda: self.redis.publish("trade-ws", json.dumps(command)), f"somebody hears {op}")
        return json.loads(wait(lambda: self.redis.get(answer_key), f"an answer to {op}"))

    def row(self, name, path, instrument):
        return self.redis.hgetall(f"okex/{name}/{path}:{instrument}")

    def candles(self, name, path, instrument, n):
        key = f"okex/{name}/{path}:{instrument}"
        first = max(self.redis.zcard(key) - n, 0)
        return [self.redis.hgetall(f"{key}/{at}") for at in self.redis.zrange(key, first, -1)]

    def trades(self, name, path):
        key = f"okex/{name}/{path}"
        return [self.redis.hgetall(f"{key}:{at}") for at in self.redis.zrange(key, 0, -1)]


def wait(look, what):
    """Looks until there is something."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    sys.exit(f"not within {DEADLINE} s: {what}")


def heard(channels, wanted, what):
    """Reads publications until one is wanted."""

    def look():
        message = channels.get_message(ignore_subscribe_messages=True, timeout=0.1)
        return message if message and wanted(message) else None

    return wait(look, what)


def check(holds, what):
    if not holds:
        sys.exit(f"wrong: {what}")


def main():
    client = Client(os.environ["TICKBUS_REDIS"])
    name, instrument = "tests", "ETH-USDT"
    candles_key = f"okex/{name}/spot/candle60s:{instrument}"
    channels = client.redis.pubsub()
    channels.subscribe(f"okex/{name}/event", f"okex/{name}/spot/ticker", f"okex/{name}/spot/ticker:{instrument}", candles_key)

    answer = client.command("open", name, {"apiKey": "", "secret": "", "password": ""})
    check(answer == {"event": "info", "message": "", "errorCode": 80000}, answer)
    check(client.command("open", name, {})["errorCode"] == 80001, "a name is opened twice")
    check(client.command("servers")["message"] == [name], "the list of servers")
    heard(channels, lambda m: json.loads(m["data"]).get("op") == "CONNECTED", "CONNECTED")
    print("opened", flush=True)

    wanted = [f"spot/{channel}:{instrument}" for channel in ("ticker", "candle60s", "trade", "depth")]
    check(client.command("subscribe", name, wanted)["errorCode"] == 80000, "subscribing")
    ticker = wait(lambda: client.row(name, "spot/ticker", instrument), "a ticker")
    check({"instrument_id", "last", "best_bid", "best_ask", "timestamp"} <= ticker.keys(), ticker)
    check(ticker["timestamp"].endswith("Z") and "T" in ticker["timestamp"], ticker)
    wait(lambda: client.row(name, "spot/ticker", instrument)["timestamp"] != ticker["timestamp"], "a newer ticker")
    depth = wait(lambda: client.row(name, "spot/depth", instrument), "a book")
    check(json.loads(depth["asks"])[0][0] == "521.6", depth)
    print("latest values", flush=True)

    trades = wait(lambda: [t for t in client.trades(name, "spot/trade") if t], "trades")
    check({"trade_id", "price", "size", "side", "instrument_id", "timestamp"} <= trades[0].keys(), trades)
    candles = wait(lambda: (lambda c: c if len(c) >= 2 else None)(client.candles(name, "spot/candle60s", instrument, 5)), "candles")
    check(all({"timestamp", "open", "high", "low", "close", "volume"} <= c.keys() for c in candles), candles)
    check(candles == sorted(candles, key=lambda c: c["timestamp"]), candles)
    message = heard(channels, lambda m: m["channel"] == candles_key, "a finished candle")
    finished = json.loads(message["data"])
    check(finished["candle"]["timestamp"] == finished["timestamp"], finished)
    check(client.redis.hgetall(f"{candles_key}/{finished['timestamp']}") == finished["candle"], "it is stored as published")
    print("histories", flush=True)

    table = json.loads(heard(channels, lambda m: m["channel"].endswith("/spot/ticker"), "the table")["data"])
    check(table["table"] == "spot/ticker" and table["data"][0]["instrument_id"] == instrument, table)
    row = json.loads(heard(channels, lambda m: m["channel"].endswith(f"/spot/ticker:{instrument}"), "the row")["data"])
    check(row["instrument_id"] == instrument, row)
    check(client.redis.get(f"okex/{name}/status") == "ON_DATA", "the state while data flows")
    print("publications", flush=True)

    check(client.command("close", name)["errorCode"] == 80000, "closing")
    heard(channels, lambda m: m["channel"].endswith("/event") and json.loads(m["data"]).get("op") == "EXIT", "EXIT")
    check(client.command("close", name)["errorCode"] == 80011, "a connection is closed twice")
    check(client.command("subscribe", name, wanted)["errorCode"] == 80011, "subscribing without a connection")
    check(client.command("servers")["message"] == [], "an empty list of servers")
    check(client.command("quit_server")["errorCode"] == 80000, "ending the service")
    print("all is as it was", flush=True)


if __name__ == "__main__":
    main()
