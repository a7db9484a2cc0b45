"""Subscribes to prefixes and prints `ready` with the first frame. Then counts the frames of `x.`, whose payloads begin with
a rising number, until `end.` comes, and prints `x COUNT LAST`. With an HWM, that is its receive queue, and it does not
read until a line comes on stdin. Arguments: endpoint, HWM (0 for the default), prefixes."""
import sys

import zmq

sub = zmq.Context().socket(zmq.SUB)
if hwm := int(sys.argv[2]):
    sub.rcvhwm = hwm
for prefix in sys.argv[3:]:
    sub.subscribe(prefix)
sub.connect(sys.argv[1])
sub.recv_multipart()
print("ready", flush=True)
if hwm:
    sys.stdin.readline()
count, last = 0, -1
while True:
    topic, payload = sub.recv_multipart()
    if topic == b"end.":
        break
    number = int(payload[:8])
    assert topic == b"x." and number > last, (topic, number, last)
    count, last = count + 1, number
print("x", count, last, flush=True)
sys.stdin.read()
