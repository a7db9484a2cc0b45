"""Opens a feed at run time, subscribes, reads some trades from the bus, asks for the latest ones, and closes the feed.

    pip install pyzmq; python control.py bybit spot BTCUSDT [URL]

URL is a simulator's or a testnet's instead of the venue's own. docs/CONTROL.md has every command.
"""
import json
import os
import sys

import zmq

BUS = os.environ.get("TICKBUS_BUS", "tcp://127.0.0.1:5555")
CONTROL = os.environ.get("TICKBUS_CONTROL", "tcp://127.0.0.1:5557")
FEED = "example"


def ask(socket, **request):
    """One command. The name says whose wishes these are, over any number of connections."""
    request["client"] = "control.py"
    if "TICKBUS_TOKEN" in os.environ:  # for a gateway with control.token
        request["token"] = os.environ["TICKBUS_TOKEN"]
    socket.send_json(request)
    answer = json.loads(socket.recv_multipart()[-1])
    if not answer["ok"]:
        sys.exit(f"{request['op']}: {answer['code']}: {answer['error']}")
    return answer


def main(venue, market, symbol, url=None):
    context = zmq.Context.instance()
    control, bus = context.socket(zmq.REQ), context.socket(zmq.SUB)
    for socket in (control, bus):
        socket.linger, socket.rcvtimeo = 0, 30_000  # ms
    control.connect(CONTROL)
    bus.connect(BUS)
    bus.subscribe(f"trade.{venue}.{market}.{symbol}.")

    opened = ask(control, op="open", name=FEED, venue=venue, market=market, **({"url": url} if url else {}))
    print("already open" if opened["existed"] else "opened")
    answer = ask(control, op="subscribe", feed=FEED, symbols=[symbol], channels=["trade", "ticker"])
    for stream in answer["streams"]:  # "pending": the venue has not answered yet, and the wish stands
        print(stream["symbol"], stream["channel"], stream["state"])
    for _ in range(3):
        trade = json.loads(bus.recv_multipart()[1])
        print("trade", trade["price"], trade["size"], trade["side"])
    latest = ask(control, op="get", feed=FEED, channel="trade", symbol=symbol, n=2)
    print("the latest", len(latest["values"]))
    left = ask(control, op="unsubscribe", feed=FEED, symbols=[symbol], channels=["trade", "ticker"])
    print("left", sorted({stream["state"] for stream in left["streams"]}))
    ask(control, op="close", name=FEED)
    print("closed")


if __name__ == "__main__":
    if not 4 <= len(sys.argv) <= 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
