"""The example client against a gateway: a market, or an account that trades."""
import asyncio
import sys

sys.path.insert(0, __file__.rsplit("tests", 1)[0] + "examples/python")
from tickbus_client import Client, Refused


def say(*words):
    print(*words, flush=True)


async def market(client):
    bybit = client.venue("bybit")
    btc = {"symbol": "BTCUSDT"}
    row = await bybit.ticker.get(btc)
    assert row["symbol"] == "BTCUSDT" and isinstance(row["last"], str), row
    assert await bybit.ticker.get({"symbol": "NONE"}) is None
    say("get")
    await bybit.trade.wait()
    trades = await bybit["trade"].find(btc)
    assert all(trade["symbol"] == "BTCUSDT" for trade in trades), trades
    assert len(await bybit.ticker.find()) == 2 and len(await bybit.ticker.find(limit=1)) == 1
    say("find")
    book = await bybit.book.sorted(btc, limit=5)
    bids, asks = ([float(level["price"]) for level in book[side]] for side in ("bids", "asks"))
    assert len(bids) == len(asks) == 5 and bids == sorted(bids, reverse=True) and asks == sorted(asks), book
    assert bids[0] < asks[0], book
    say("sorted")
    waits = [asyncio.ensure_future(bybit.bbo.wait(query)) for query in (None, btc, {"symbol": "ETHUSDT"})]
    await asyncio.gather(*waits)
    say("wait")
    stream = await bybit.ticker.watch(btc)
    changes = [await stream.get() for _ in range(3)]
    assert all(change.operation == "update" and change.source and change.data["symbol"] == "BTCUSDT" for change in changes)
    assert all(change.data[name] == value for change in changes for name, value in change.source.items()), changes
    say("watch")
    # An image, and the changes after it, are the table: also over another stream that goes on from there.
    keys = ("market", "symbol", "side", "price")
    rows = {tuple(map(row.get, keys)): row for row in await bybit.book.find()}
    place = bybit.book.place
    for _ in range(5):
        with bybit.book.watch(after=place) as stream:
            for _ in range(100):
                change = await stream.get()
                assert (change.key in rows) == (change.operation != "insert"), change
                if change.operation == "delete":
                    del rows[change.key]
                else:
                    rows[change.key] = change.data
            place = stream.place
    say("mirror")
    for question in (bybit.ticker.watch({"last": "1"}), bybit.ticker.get({}), bybit.initialize()):
        try:
            await question
        except Refused as refused:
            assert refused.code in ("bad_request", "unsupported") and str(refused), refused
        else:
            raise AssertionError("not refused")
    say("refused")
    while True:
        try:
            await bybit.book.sorted(btc)
            await asyncio.wait_for(bybit.book.wait(), 30)
        except Refused as refused:
            say(refused.code.replace("_", " "), refused.answer["reason"])
            return


async def account(client):
    okx, seen, words = client.venue("okx"), set(), ("insert", "update", "delete")
    async for change in okx.order.watch():
        if change.operation == "reread":
            assert all(row["account"] == "main" for row in change.data), change
            return say("reread")
        said, seen = seen == set(words), seen | {change.operation}
        if seen == set(words) and not said:
            say(*words)


async def main(what):
    async with Client(timeout=1.0) as client:
        await {"market": market, "account": account}[what](client)


asyncio.run(main(sys.argv[1]))
