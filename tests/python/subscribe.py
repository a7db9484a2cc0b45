"""Subscribes to everything and prints each frame as `topic payload`. After the first trade it unsubscribes from all
but `book.`, and then subscribes to `mark.`."""
import sys

import zmq

sub = zmq.Context().socket(zmq.SUB)
sub.connect(sys.argv[1])
sub.subscribe(b"")
while True:
    topic, payload = sub.recv_multipart()
    print(topic.decode(), payload.decode(), flush=True)
    if topic.startswith(b"trade."):
        sub.subscribe(b"book.")
        sub.subscribe(b"book.")
        sub.unsubscribe(b"book.")
        sub.unsubscribe(b"")
        sub.subscribe(b"mark.")
