"""Subscribes with short heartbeats, prints how often it was disconnected in the given seconds, then one frame."""
import sys
import time

import zmq
from zmq.utils.monitor import recv_monitor_message

sub = zmq.Context().socket(zmq.SUB)
sub.setsockopt(zmq.HEARTBEAT_IVL, 200)
sub.setsockopt(zmq.HEARTBEAT_TIMEOUT, 200)
monitor = sub.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
sub.connect(sys.argv[1])
sub.subscribe(b"t.")
disconnects = 0
end = None
while end is None or time.monotonic() < end:
    if not monitor.poll(100):
        continue
    event = recv_monitor_message(monitor)["event"]
    if event == zmq.EVENT_DISCONNECTED:
        disconnects += 1
    elif end is None:
        print("connected", flush=True)
        end = time.monotonic() + float(sys.argv[2])
print("disconnects", disconnects, flush=True)
print(*(part.decode() for part in sub.recv_multipart()), flush=True)
sys.stdin.read()
