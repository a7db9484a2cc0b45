"""Bybit's own client (pybit) on a simulated venue: prints `u digest` of its book for each update.

Arguments: host:port, market, symbol, depth."""
import sys
import threading
import zlib

import pybit.unified_trading

ADDRESS, MARKET, SYMBOL, DEPTH = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])


def plain(number):
    return number.rstrip("0").rstrip(".") if "." in number else number


def best(levels, descending):
    ordered = sorted(levels, key=lambda level: float(level[0]), reverse=descending)[:25]
    return "|".join(f"{plain(price)}:{plain(size)}" for price, size in ordered)


def digest(book):
    """CRC32 of the best 25 bids and asks; pybit keeps levels in the order of their arrival."""
    return zlib.crc32(f"{best(book['b'], True)}#{best(book['a'], False)}".encode())


def show(message):
    book = message["data"]
    print(book["u"], digest(book), flush=True)


pybit.unified_trading.PUBLIC_WSS = f"ws://{ADDRESS}/v5/public/{{CHANNEL_TYPE}}"
client = pybit.unified_trading.WebSocket(testnet=False, channel_type=MARKET)
client.orderbook_stream(DEPTH, SYMBOL, show)
threading.Event().wait()
