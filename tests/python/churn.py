"""Comes and goes as a subscriber, and waits for a frame each time, so that the publisher knows it. Arguments: endpoint, how
often, and a prefix; without one it is twenty of `t.N.`, others each time."""
import sys

import zmq

context = zmq.Context()
rounds = int(sys.argv[2])
for n in range(rounds):
    sub = context.socket(zmq.SUB)
    sub.linger = 0
    for prefix in sys.argv[3:] or [f"t.{(n + topic) % 100}." for topic in range(20)]:
        sub.subscribe(prefix)
    sub.connect(sys.argv[1])
    sub.recv_multipart()
    sub.close()
print("done", rounds, flush=True)
sys.stdin.read()
