"""Subscribes to `t.` and, as asked, to `notice.`; reads nothing until told to; then prints each notice and the last frame."""
import json
import sys

import zmq

sub = zmq.Context().socket(zmq.SUB)
sub.rcvhwm = 100
sub.connect(sys.argv[1])
sub.subscribe(b"t.")
for prefix in sys.argv[2:]:
    sub.subscribe(prefix.encode())
topic, payload = sub.recv_multipart()
print(topic.decode(), payload.decode(), flush=True)
sys.stdin.readline()
last = {}
while True:
    topic, payload = sub.recv_multipart()
    if topic == b"t.end.":
        break
    if topic == b"notice.loss.":
        notice = json.loads(payload)
        rows = notice["topics"]
        print("notice", notice["seq"], notice["dropped"], rows["t.a."]["first_seq"], rows["t.a."]["last_seq"], flush=True)
    elif topic == b"t.a.":
        seq = int(payload.split()[0])
        if seq != last.get(topic, 0) + 1:
            print("jump", last.get(topic, 0) + 1, seq - 1, flush=True)
        last[topic] = seq
print("end", flush=True)
