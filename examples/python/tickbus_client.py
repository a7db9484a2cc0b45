"""The gateway's tables as stores to ask, await and watch: docs/TABLES.md.

    pip install pyzmq

    async with Client() as client:
        bybit = client.venue("bybit")
        print(await bybit.ticker.get({"symbol": "BTCUSDT"}))
        print(await bybit.book.sorted({"symbol": "BTCUSDT"}, limit=5))
        async for change in bybit.order.watch():
            print(change.operation, change.data)
"""
import asyncio
import json
import os
from collections import deque, namedtuple

import zmq
import zmq.asyncio
import zmq.auth

CONTROL = os.environ.get("TICKBUS_CONTROL", "tcp://127.0.0.1:5557")
TABLES = (
    *("ticker", "book", "bbo", "trade", "liquidation", "candle", "instrument", "status"),
    *("order", "fill", "position", "balance"),
)
WAIT = 5.0  # seconds of one question that waits; then it is asked again
AGAIN = 1.0  # seconds until rows that are not live are asked for again
MOST = 100_000  # rows of one answer

# operation: insert, update, delete, or reread: changes were lost, and data is the list of all rows as they are now.
# source: of an update the fields that are new or have another value, never its clocks and counts (ts_event, ts_venue,
#   ts_recv, ts_pub, seq, venue_seq), and not those that the row has no more; of a delete whether it only made room for
#   newer rows. data: the whole row, clocks and counts included.
Change = namedtuple("Change", "store operation source data key place")


class Refused(Exception):
    """The gateway does not do that. `code` is for programs, `answer` has everything it said."""

    def __init__(self, answer):
        super().__init__(f"{answer['code']}: {answer['error']}")
        self.code, self.answer = answer["code"], answer


class Client:
    """A gateway. Questions that are asked at one time go over connections of their own."""

    def __init__(self, control=CONTROL, token=os.environ.get("TICKBUS_TOKEN"), timeout=10.0):
        self._control, self._token, self._timeout, self._idle = control, token, timeout, []

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.close()

    def close(self):
        while self._idle:
            self._idle.pop().close()

    def venue(self, name):
        return Venue(self, name)

    async def ask(self, op, **fields):
        """Any command of docs/CONTROL.md; its answer, or Refused. TimeoutError: the gateway does not answer."""
        request = {"op": op, **{key: value for key, value in fields.items() if value is not None}}
        if self._token:
            request["token"] = self._token
        socket = self._idle.pop() if self._idle else self._connect()
        try:
            await socket.send_json(request)
            answer = json.loads((await asyncio.wait_for(socket.recv_multipart(), self._timeout + WAIT))[-1])
        except BaseException:
            socket.close()  # a question without its answer: this connection is of no more use
            raise
        self._idle.append(socket)
        if not answer["ok"]:
            raise Refused(answer)
        return answer

    def _connect(self):
        socket = zmq.asyncio.Context.instance().socket(zmq.REQ)
        socket.linger = 0
        if "TICKBUS_KEY" in os.environ:  # files as `tickbus keygen` makes them
            socket.curve_serverkey = zmq.auth.load_certificate(os.environ["TICKBUS_SERVER_KEY"])[0]
            socket.curve_publickey, socket.curve_secretkey = zmq.auth.load_certificate(os.environ["TICKBUS_KEY"])
        socket.connect(self._control)
        return socket


class Venue:
    """A venue's tables: `venue.ticker`, `venue["ticker"]`."""

    def __init__(self, client, name):
        self.client, self.name = client, name
        self._stores = {table: Store(client, name, table) for table in TABLES}

    def __getitem__(self, table):
        return self._stores[table]

    def __contains__(self, table):
        return table in self._stores

    def __getattr__(self, table):
        try:
            return self.__dict__["_stores"][table]
        except KeyError:
            raise AttributeError(f"no table {table!r}; there are {', '.join(TABLES)}") from None

    async def initialize(self):
        """Has the gateway read orders, positions and balances anew; the names of the feeds that do."""
        return (await self.client.ask("initialize", venue=self.name))["feeds"]


class Store:
    """One table. Conditions are fields with the values they must have; a text is not a number."""

    def __init__(self, client, venue, table):
        self._client, self.venue, self.name = client, venue, table
        self.place = None  # epoch and number of the last change that was seen here; a stream can go on from it

    def __repr__(self):
        return f"{self.venue}.{self.name}"

    async def _ask(self, op, where=None, place=None, **fields):
        epoch, after = place or (None, None)
        about = {"venue": self.venue, "table": self.name, "where": where or None}
        return await self._client.ask(op, **about, epoch=epoch, after=after, **fields)

    def _seen(self, answer):
        self.place = answer["epoch"], answer["seq"]
        return answer

    async def get(self, item):
        """The row of this key, or of as much of it as is needed to tell it; None if there is none."""
        try:
            return self._seen(await self._ask("get", item))["row"]
        except Refused as refused:
            if refused.code != "not_found" or "seq" not in refused.answer:
                raise
            self._seen(refused.answer)
            return None

    async def find(self, query=None, limit=None):
        """The rows that match, oldest first within a symbol; with a limit the newest of them. Rows of an account are refused
        (not_live) while they may not be what the venue has."""
        answer = await self._ask("find", query, limit=limit or MOST)
        if not limit and answer["matches"] > len(answer["rows"]):
            raise LookupError(f"{answer['matches']} rows of {self} match, too many for one answer: narrow the query")
        return self._seen(answer)["rows"]

    async def sorted(self, query=None, limit=None):
        """A live book: {"asks": […], "bids": […]}, best first. Refused (not_live) says why there is none."""
        answer = self._seen(await self._ask("sorted", query, limit=limit or None))
        return {"asks": answer["asks"], "bids": answer["bids"]}

    async def wait(self, query=None):
        """Returns when something has changed since this store was last asked; a query of key fields: in those rows."""
        changed = False
        while not changed:
            try:
                changed = self._seen(await self._ask("wait", query, self.place, within_ms=int(WAIT * 1000)))["changed"]
            except asyncio.TimeoutError:
                pass  # the gateway is away: it is waited for, too

    def watch(self, query=None, after=None):
        """Every change from now on, or from a place on: `async for change in store.watch()`. Key fields only in a query.
        `stream = await store.watch()` returns when it has begun; nothing is missed from then on."""
        return Stream(self, query, after)


class Stream:
    """Changes of a table. `place` is how far it has been read: another stream can go on from there. While the gateway is
    away it waits."""

    def __init__(self, store, query, place):
        self._store, self._query, self.place = store, query, place
        self._changes, self._upto = deque(), place

    def __await__(self):
        return self._begin().__await__()

    async def _begin(self):
        if self.place is None:
            await self._read(0)
        return self

    async def _read(self, within):
        ask = self._store._ask
        try:
            answer = await ask("watch", self._query, self.place, within_ms=int(within * 1000))
            changes = [self._change(answer["epoch"], change) for change in answer["changes"]]
        except Refused as refused:
            if refused.code != "reread":
                raise
            answer = await self._all()
            place = answer["epoch"], answer["seq"]
            changes = [Change(self._store, "reread", None, answer["rows"], None, place)]
        self._changes.extend(changes)
        self._upto = answer["epoch"], answer["seq"]
        if not changes:
            self.place = self._upto

    async def _all(self):
        """All rows. Those of an account are waited for until the venue has told them."""
        while True:
            try:
                return await self._store._ask("find", self._query, limit=MOST)
            except Refused as refused:
                if refused.code != "not_live":
                    raise
            await asyncio.sleep(AGAIN)

    def _change(self, epoch, change):
        source = {"update": change.get("changed"), "delete": change.get("evicted", False)}.get(change["op"])
        return Change(self._store, change["op"], source, change["row"], tuple(change["key"]), (epoch, change["seq"]))

    def __aiter__(self):
        return self

    async def __anext__(self):
        while not self._changes:
            try:
                await self._read(WAIT)
            except asyncio.TimeoutError:
                pass
        change = self._changes.popleft()
        self.place = change.place if self._changes else self._upto
        return change

    get = __anext__

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass
