"""Asks as REQ, as REQ with correlation, as DEALER with and without a delimiter, and as DEALER with 500 ahead."""
import sys

import zmq

context = zmq.Context()


def connected(kind, *options):
    socket = context.socket(kind)
    socket.linger = 0
    socket.setsockopt(zmq.HEARTBEAT_IVL, 200)
    for option in options:
        socket.setsockopt(option, 1)
    socket.connect(sys.argv[1])
    return socket


req = connected(zmq.REQ)
req.send(b"hello")
print("req", req.recv().decode(), flush=True)

relaxed = connected(zmq.REQ, zmq.REQ_RELAXED, zmq.REQ_CORRELATE)
relaxed.send(b"hello")
print("req relaxed", relaxed.recv().decode(), flush=True)

dealer = connected(zmq.DEALER)
dealer.send(b"hello")
print("dealer", *(part.decode() for part in dealer.recv_multipart()), flush=True)
dealer.send_multipart([b"", b"hello"])
empty, reply = dealer.recv_multipart()
assert empty == b""
print("dealer delimited", reply.decode(), flush=True)

for n in range(500):
    dealer.send_multipart([b"%d" % n, b"", b"r%d" % n])
for n in range(500):
    assert dealer.recv_multipart() == [b"%d" % n, b"", b"R%d" % n]
print("ahead 500", flush=True)
sys.stdin.read()
