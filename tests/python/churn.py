"""Comes and goes as a subscriber with twenty topics; waits for a frame each time, so that the publisher knows it."""
import sys

import zmq

context = zmq.Context()
rounds = int(sys.argv[2])
for n in range(rounds):
    sub = context.socket(zmq.SUB)
    sub.linger = 0
    for topic in range(20):
        sub.subscribe(f"t.{(n + topic) % 100}.".encode())
    sub.connect(sys.argv[1])
    sub.recv_multipart()
    sub.close()
print("done", rounds, flush=True)
sys.stdin.read()
