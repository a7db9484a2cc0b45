"""A stock libzmq client of a QUIK terminal. Arguments: scenario, RPC endpoint, events endpoint, then the scenario's own.

Prints "ok" when everything was as the real server would have it; lines before that tell the test what to do next.
"""
import json
import sys
import time

import zmq
from zmq.utils.monitor import recv_monitor_message

SCENARIO, RPC, EVENTS, *REST = sys.argv[1:]
CONTEXT = zmq.Context()
DEADLINE = 20_000


def say(text):
    print(text, flush=True)


def connected(kind, endpoint, secure=lambda socket: None):
    socket = CONTEXT.socket(kind)
    socket.linger = 0
    socket.rcvtimeo = socket.sndtimeo = DEADLINE
    secure(socket)
    socket.connect(endpoint)
    return socket


def body(method, **args):
    return json.dumps({"method": method, "args": args}).encode()


def call(socket, method, **args):
    socket.send(body(method, **args))
    return json.loads(socket.recv())


def subscriber(*prefixes, secure=lambda socket: None):
    socket = CONTEXT.socket(zmq.SUB)
    socket.linger = 0
    socket.rcvtimeo = DEADLINE
    socket.rcvhwm = 1_000_000
    for prefix in prefixes:
        socket.subscribe(prefix)
    secure(socket)
    socket.connect(EVENTS)
    return socket


def quirks():
    req = connected(zmq.REQ, RPC)
    assert call(req, "isConnected") == {"result": {"is_connected": 1}}
    assert call(req, "nosuch")["error"] == {"code": 404, "message": "QLua-функция с именем 'nosuch' не найдена."}
    req.send(b"nonsense")
    assert json.loads(req.recv())["error"]["code"] == 500
    assert call(req, "getClassInfo", class_code="NONE") == {"error": {"code": 1}}
    assert call(req, "getClassesList")["result"]["classes_list"].endswith("TQBR,CETS,")
    riz6 = {"class_code": "SPBFUT", "sec_code": "RIZ6"}
    assert call(req, "IsSubscribed_Level_II_Quotes", **riz6) == {"result": {}}
    assert call(req, "getQuoteLevel2", **riz6)["result"]["bids"] == []
    # Both frames of a message are executed, the last one is answered.
    req.send_multipart([body("Subscribe_Level_II_Quotes", **riz6), body("IsSubscribed_Level_II_Quotes", **riz6)])
    assert [json.loads(frame) for frame in req.recv_multipart()] == [{"result": {"result": True}}]
    quotes = call(req, "getQuoteLevel2", **riz6)["result"]
    prices = [float(level["price"]) for level in quotes["bids"] + quotes["offers"]]
    assert prices == sorted(prices) and len(prices) == int(quotes["bid_count"]) + int(quotes["offer_count"])
    req.send(body("datasource.CreateDataSource", class_code="TQBR", sec_code="NOSUCH", interval="INTERVAL_M1"))
    refused = req.recv()
    try:
        raise AssertionError(refused.decode())
    except UnicodeDecodeError:
        assert json.loads(refused.decode("cp1251"))["result"]["is_error"] is True
    dealer = connected(zmq.DEALER, RPC)
    dealer.send(body("isConnected"))
    dealer.send_multipart([b"", body("isConnected")])
    assert [json.loads(part or b"0") for part in dealer.recv_multipart()] == [0, {"result": {"is_connected": 1}}]
    dealer.send_multipart([b"7", b"more", b"", body("isConnected")])
    assert dealer.recv_multipart()[:3] == [b"7", b"more", b""]
    for n in range(300):
        dealer.send_multipart([b"%d" % n, b"", body("getInfoParam", param_name="VERSION") if n % 3 else b"{"])
    for n in range(300):
        number, _, answer = dealer.recv_multipart()
        assert number == b"%d" % n and (b"error" in answer) == (n % 3 == 0), (n, number, answer)
    dealer.rcvtimeo = 100
    try:
        raise AssertionError(f"the call without delimiter was answered: {dealer.recv_multipart()}")
    except zmq.Again:
        say("ok")


def events():
    """The SUB waits before the script starts; the test then starts it and publishes."""
    everything, some = subscriber(b""), subscriber(b"OnMoneyLimit", b"OnAllTrade")
    say("waiting")
    assert everything.recv_multipart() == [b"PublisherOnline"]
    while True:
        # A marker, as this socket may join after the others.
        if some.poll(50):
            break
        call(connected(zmq.REQ, RPC), "message", message="poke")
        say("marker")
    assert some.recv_multipart()[0] == b"OnMoneyLimitDelete"
    say("subscribed")
    seen = {}
    while b"OnStop" not in seen:
        name, *payload = everything.recv_multipart()
        seen[name] = payload
    trade = json.loads(seen[b"OnAllTrade"][0])
    assert isinstance(trade["trade_num"], int) and isinstance(trade["price"], str) and trade["flags"] & 0x400
    assert seen[b"OnConnected"] == [b'{"flag":true}'] and seen[b"OnStop"] == [b'{"signal":2}']
    for alone in (b"OnCleanUp", b"OnClose", b"OnDisconnected"):
        assert seen[alone] == [], alone
    say("ok")


def restart():
    """Lives through the end of the script on the same ports; the test ends it."""
    events = subscriber(b"OnStop", b"PublisherOnline")
    req = connected(zmq.REQ, RPC)
    made = call(req, "datasource.CreateDataSource", class_code="SPBFUT", sec_code="RIZ6", interval="INTERVAL_M1")
    uuid = made["result"]["datasource_uuid"]
    assert call(req, "datasource.Size", datasource_uuid=uuid)["result"]["value"] >= 0
    say("ready")
    seen = [events.recv_multipart() for _ in range(int(REST[0]))]
    assert seen[-1] == [b"PublisherOnline"] and all(one == [b"OnStop", b'{"signal":1}'] for one in seen[:-1]), seen
    assert call(req, "datasource.Size", datasource_uuid=uuid) == {"error": {"code": 1}}
    say("ok")


def burst():
    events = subscriber(b"OnAllTrade")
    req = connected(zmq.REQ, RPC)
    say("ready")
    numbers = []
    while len(numbers) < int(REST[0]):
        name, payload = events.recv_multipart()
        trade = json.loads(payload)
        numbers.append((trade["sec_code"], trade["trade_num"]))
        if len(numbers) == 1:
            started = time.monotonic()
    took = time.monotonic() - started
    by_code = {}
    for code, number in numbers:
        assert number > by_code.get(code, 0), (code, number)
        by_code[code] = number
    say(f"{len(numbers) / took:.0f} events/s")
    assert call(req, "isConnected")["result"]["is_connected"] == 1
    say("ok")


def abandon():
    """Asks and leaves: what was asked is executed all the same."""
    dealer = connected(zmq.DEALER, RPC)
    for _ in range(int(REST[0])):
        dealer.send_multipart([b"", body("getTradeDate")])
    dealer.recv_multipart()
    dealer.close(linger=0)
    say("ok")


def secured():
    """Arguments: what to expect, then the mechanism's own: user and password, or server key, own keys."""
    expected, mechanism, *secrets = REST

    def secure(socket):
        if mechanism == "plain":
            socket.plain_username, socket.plain_password = (secret.encode() for secret in secrets)
        if mechanism == "curve":
            keys = [secret.encode() for secret in secrets]
            socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = keys

    socket = CONTEXT.socket(zmq.REQ)
    socket.linger, socket.rcvtimeo = 0, DEADLINE if expected == "welcome" else 1_500
    monitor = socket.get_monitor_socket()
    secure(socket)
    socket.connect(RPC)
    socket.send(body("isConnected"))
    if expected == "welcome":
        assert json.loads(socket.recv())["result"]["is_connected"] == 1
        events = subscriber(b"OnAllTrade", secure=secure)
        assert json.loads(events.recv_multipart()[1])["class_code"]
        say("ok")
        return
    seen = []
    while True:
        assert monitor.poll(DEADLINE), seen
        event = recv_monitor_message(monitor)
        seen.append((event["event"].name, event["value"]))
        if event["event"].name.startswith("HANDSHAKE_FAILED"):
            break
    say(f"{event['event'].name} {event['value']}")
    try:
        raise AssertionError(socket.recv())
    except zmq.Again:
        say("ok")


def speed():
    """Calls a second: one after the other, and with five sockets that each have several in flight."""
    req = connected(zmq.REQ, RPC)
    ask = body("getParamEx2", class_code="SPBFUT", sec_code="RIZ6", param_name="BID")
    calls = int(REST[0])
    started = time.monotonic()
    for _ in range(calls):
        req.send(ask)
        req.recv()
    say(f"{calls / (time.monotonic() - started):.0f} calls/s one after the other")
    dealers = [connected(zmq.DEALER, RPC) for _ in range(5)]
    started = time.monotonic()
    for n in range(calls):
        dealers[n % 5].send_multipart([b"", ask])
    for n in range(calls):
        dealers[n % 5].recv_multipart()
    say(f"{calls / (time.monotonic() - started):.0f} calls/s over five sockets")
    say("ok")


globals()[SCENARIO]()
