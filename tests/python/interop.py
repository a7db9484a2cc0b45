"""Subscribes in every way that libzmq offers and prints what comes first on each: `WAY EPOCH TOPIC`, once per way, epoch
and topic. Arguments: a TCP endpoint, one of IPv6, and one of ipc, all of the same gateway."""
import json
import sys

import zmq

V4, V6, IPC = sys.argv[1:]
PREFIXES = (b"status.", b"book.")
context = zmq.Context()


def subscriber(*endpoints, kind=zmq.SUB, **options):
    socket = context.socket(kind)
    socket.linger, socket.ipv6 = 0, True
    socket.reconnect_ivl, socket.reconnect_ivl_max = 20, 200
    for name, value in options.items():
        setattr(socket, name, value)
    for prefix in PREFIXES:
        if kind == zmq.SUB:
            socket.subscribe(prefix)
    for endpoint in endpoints:
        socket.connect(endpoint)
    for prefix in PREFIXES:
        if kind == zmq.XSUB:
            socket.send(b"\x01" + prefix)
    return socket


ways = {
    "v4": subscriber(V4),
    "v6": subscriber(V6),
    "ipc": subscriber(IPC),
    "several": subscriber(V4, V6, IPC),
    "heartbeats": subscriber(V4, heartbeat_ivl=100, heartbeat_timeout=1_000, heartbeat_ttl=10_000),
    "hwm": subscriber(IPC, rcvhwm=1),
    "xsub": subscriber(V6, kind=zmq.XSUB),
}
names = {socket: name for name, socket in ways.items()}
poller = zmq.Poller()
for socket in names:
    poller.register(socket, zmq.POLLIN)
seen = set()
while True:
    for socket, _ in poller.poll():
        topic, payload = socket.recv_multipart()
        line = f"{names[socket]} {json.loads(payload)['epoch']} {topic.decode()}"
        if line not in seen:
            seen.add(line)
            print(line, flush=True)
