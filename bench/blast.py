#!/usr/bin/env python3
"""Publishes QoS 1 events at bench/p<0…9>/<number> at a steady pace, and waits until the broker has acknowledged them
all. Prints the seconds that took.

    bench/blast.py HOST:PORT EVENTS SECONDS SEED

A process of its own that speaks MQTT 3.1.1 by itself: libraries keep an object for each message, and five thousand a
second are then the sender's limit and not the broker's.
"""
import random
import select
import socket
import sys
import time

PUBACK = b"\x40\x02"


def text(data):
    return len(data).to_bytes(2, "big") + data


def packet(first, body):
    head, length = bytearray([first]), len(body)
    while True:
        length, byte = length >> 7, length & 127
        head.append(byte | (128 if length else 0))
        if not length:
            return bytes(head) + body


def event(number, priority):
    topic, payload = f"bench/p{priority}/{number}", f"motion at the door, reading {number}"
    return packet(0x32, text(topic.encode()) + number.to_bytes(2, "big") + payload.encode())


def main():
    place, events, seconds, seed = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    if events > 65_535:
        sys.exit("blast: every event needs a packet id of its own, so 65,535 at most")
    dice = random.Random(seed)
    packets = [event(number, dice.randrange(10)) for number in range(1, events + 1)]
    host, port = place.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(packet(0x10, text(b"MQTT") + b"\x04\x02\x00\x00" + text(b"blast")))
    if connection.recv(4) != b"\x20\x02\x00\x00":
        sys.exit("blast: the broker does not take us")
    connection.setblocking(False)
    started, sent, waiting, answers, acknowledged = time.monotonic(), 0, b"", bytearray(), 0
    while acknowledged < events:
        due = min(events, int((time.monotonic() - started) / seconds * events) + 1)
        if due > sent:
            waiting += b"".join(packets[sent:due])
            sent = due
        readable, writable, _ = select.select([connection], [connection] if waiting else [], [], 0.005)
        if writable:
            waiting = waiting[connection.send(waiting):]
        if readable:
            data = connection.recv(65536)
            if not data:
                sys.exit("blast: the broker closed the connection")
            answers += data
            whole = len(answers) // 4
            if any(answers[at * 4:at * 4 + 2] != PUBACK for at in range(whole)):
                sys.exit("blast: the broker sends something else than acknowledgements")
            acknowledged += whole
            del answers[:whole * 4]
    print(round(time.monotonic() - started, 2))


main()
