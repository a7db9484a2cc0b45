"""A trading terminal as libzmq sees one: REP for calls, PUB for events, with NULL, PLAIN or CURVE.

    terminal.py RPC EVENTS null | plain USER PASSWORD | curve SECRET_KEY CLIENT_KEY

Orders come as lines on stdin: `delay MS` before each answer from now on, `hang` to take requests without answering,
`publish TOPIC [PAYLOAD]`, `burst COUNT`, `asked` to print how many requests came. The end of stdin ends it.
"""
import json
import os
import sys
import time

import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator

context = zmq.Context()


def bound(kind, endpoint, security):
    socket = context.socket(kind)
    socket.linger = 0
    socket.setsockopt(zmq.IPV6, "[" in endpoint)
    # The test's own part loses nothing.
    socket.set_hwm(0)
    if security[0] == "plain":
        socket.plain_server = True
    if security[0] == "curve":
        secret = security[1].encode()
        socket.curve_publickey = zmq.curve_public(secret)
        socket.curve_secretkey = secret
        socket.curve_server = True
    socket.bind(endpoint)
    return socket


def guarded(security):
    """Checks passwords and keys, as the terminal's script does."""
    authenticator = ThreadAuthenticator(context)
    authenticator.start()
    if security[0] == "plain":
        authenticator.configure_plain(domain="*", passwords={security[1]: security[2]})
    if security[0] == "curve":
        authenticator.configure_curve_callback("*", Allowed(security[2]))
    return authenticator


class Allowed:
    def __init__(self, key):
        self.key = key.encode()

    def callback(self, domain, key):
        return key == self.key


def endpoint_of(socket):
    return socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()


def main(rpc, events, *security):
    authenticator = guarded(security) if security[0] != "null" else None
    rep, pub = bound(zmq.REP, rpc, security), bound(zmq.PUB, events, security)
    print(endpoint_of(rep), endpoint_of(pub), flush=True)
    poller = zmq.Poller()
    poller.register(rep, zmq.POLLIN)
    poller.register(sys.stdin.fileno(), zmq.POLLIN)
    delay, asked, orders = 0.0, 0, b""
    while True:
        ready = dict(poller.poll())
        if sys.stdin.fileno() in ready:
            read = os.read(sys.stdin.fileno(), 65536)
            if not read:
                break
            orders += read
            while b"\n" in orders:
                line, orders = orders.split(b"\n", 1)
                order, *rest = line.decode().split(" ", 2)
                if order == "delay":
                    delay = int(rest[0]) / 1000
                elif order == "hang":
                    poller.unregister(rep)
                elif order == "publish":
                    pub.send_multipart([part.encode() for part in rest])
                elif order == "burst":
                    for number in range(int(rest[0])):
                        pub.send_multipart([b"OnAllTrade", b'{"trade_num":%d}' % number])
                elif order == "asked":
                    print(asked, flush=True)
        if rep in ready:
            body = rep.recv()
            asked += 1
            time.sleep(delay)
            rep.send(json.dumps({"result": {"echo": json.loads(body)}}).encode())
    if authenticator:
        authenticator.stop()
    context.destroy()


main(*sys.argv[1:])
