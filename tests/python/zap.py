"""Serves an echoing ROUTER and a PUB behind libzmq's authenticator, and prints their endpoints.

Arguments: PLAIN USER PASSWORD, or CURVE SERVER_PUBLIC SERVER_SECRET FOLDER with the certificates of those who may
connect. Ends with its stdin."""
import sys
import threading

import zmq
from zmq.auth.thread import ThreadAuthenticator

context = zmq.Context()
authenticator = ThreadAuthenticator(context)
authenticator.start()
mechanism, *rest = sys.argv[1:]
if mechanism == "PLAIN":
    authenticator.configure_plain(domain="test", passwords={rest[0]: rest[1]})
else:
    authenticator.configure_curve(domain="test", location=rest[2])


def bound(kind):
    socket = context.socket(kind)
    socket.linger = 0
    socket.zap_domain = b"test"
    if mechanism == "PLAIN":
        socket.plain_server = True
    else:
        socket.curve_server = True
        socket.curve_publickey, socket.curve_secretkey = rest[0].encode(), rest[1].encode()
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    return socket, f"tcp://127.0.0.1:{port}"


router, asked = bound(zmq.ROUTER)
publisher, heard = bound(zmq.XPUB)
# Every subscription is answered with a frame, a large one, and the end of the connection's silence is a heartbeat.
router.setsockopt(zmq.HEARTBEAT_IVL, 100)
print(asked, heard, flush=True)
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
poller = zmq.Poller()
poller.register(router, zmq.POLLIN)
poller.register(publisher, zmq.POLLIN)
while not ended.is_set():
    for socket, _ in poller.poll(100):
        message = socket.recv_multipart()
        if socket is router:
            router.send_multipart(message)
        elif message[0][:1] == b"\x01":
            publisher.send_multipart([message[0][1:], b"x" * 100_000])
authenticator.stop()
