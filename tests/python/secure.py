"""Tries one connection for each case (JSON objects as arguments) and prints what came of it: `served`, or libzmq's
monitor event."""
import json
import sys

import zmq
from zmq.utils.monitor import parse_monitor_message

FAILURES = (
    zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)
context = zmq.Context()


def attempt(case):
    socket = context.socket(zmq.SUB if case["kind"] == "SUB" else zmq.REQ)
    socket.linger = 0
    if "server" in case:
        socket.curve_serverkey = case["server"].encode()
        public, secret = case["keys"] if "keys" in case else map(bytes.decode, zmq.curve_keypair())
        socket.curve_publickey, socket.curve_secretkey = public.encode(), secret.encode()
    if "user" in case:
        socket.plain_username, socket.plain_password = case["user"].encode(), case["password"].encode()
    monitor = socket.get_monitor_socket(FAILURES)
    socket.connect(case["endpoint"])
    if case["kind"] == "SUB":
        socket.subscribe(b"heartbeat.")
    else:
        socket.send(b'{"op":"stats"}')
    poller = zmq.Poller()
    poller.register(socket, zmq.POLLIN)
    poller.register(monitor, zmq.POLLIN)
    ready = dict(poller.poll(20_000))
    if socket in ready:
        body = json.loads(socket.recv_multipart()[-1])
        outcome = "served" if "epoch" in body else "odd"
    elif monitor in ready:
        event = parse_monitor_message(monitor.recv_multipart())
        outcome = f"{zmq.Event(event['event']).name} {event['value']}"
    else:
        outcome = "nothing"
    socket.disable_monitor()
    socket.close()
    return outcome


for case in sys.argv[1:]:
    print(attempt(json.loads(case)), flush=True)
