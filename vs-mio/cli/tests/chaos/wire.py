"""A wire between two network interfaces of this namespace that puts off each datagram by a time of
its own, so that they overtake each other, and hands out one of ten twice. Segments of TCP and ARP
keep their order. `wire.py SEED A B` says "ready", and ends with its input.
"""

import heapq
import random
import select
import socket
import sys
import time

DELAY_MAX_S = 0.02
DOUBLED = 0.1
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
FRAME_BYTES_MAX = 2000
UDP, IPV4 = 17, b"\x08\x00"

rng = random.Random(int(sys.argv[1]))
ends = []
for name in sys.argv[2:4]:
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    # Else what is handed out would come back.
    end.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    end.bind((name, 0))
    ends.append(end)
print("ready", flush=True)

held, count = [], 0
while True:
    now = time.monotonic()
    while held and held[0][0] <= now:
        _, _, to, frame = heapq.heappop(held)
        try:
            to.send(frame)
        except OSError:
            pass  # The interface is down or narrow: the frame is lost.
    wait = max(held[0][0] - now, 0) if held else 1
    ready, _, _ = select.select([*ends, sys.stdin], [], [], wait)
    if sys.stdin in ready:
        break
    for end in ready:
        try:
            frame = end.recv(FRAME_BYTES_MAX)
        except OSError:
            continue
        to, now = ends[1 - ends.index(end)], time.monotonic()
        is_datagram = frame[12:14] == IPV4 and len(frame) > 23 and frame[23] == UDP
        times = 1 + (is_datagram and rng.random() < DOUBLED)
        for _ in range(times):
            count += 1
            due = now + (rng.random() * DELAY_MAX_S if is_datagram else 0)
            heapq.heappush(held, (due, count, to, frame))
