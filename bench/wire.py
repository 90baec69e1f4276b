"""A wire between the daemon and its broker that passes everything on and writes down who promised what: which events
were handed to the daemon, which of them it acknowledged, which results it published, and which of these the broker
acknowledged before it died. What is missing in the end was then lost by the one who had promised it last.
"""
import collections
import fcntl
import json
import socket
import struct
import termios
import threading
import time

CONNACK, PUBLISH, PUBACK = 2, 3, 4


class Packets:
    """Cuts a stream of bytes into MQTT packets."""

    def __init__(self):
        self.bytes, self.end = bytearray(), 0

    def add(self, data):
        """Yields (first byte, body) of each packet that is complete; `end` is then where it ends in the stream."""
        self.bytes += data
        while True:
            length, shift, at = 0, 0, 1
            while True:
                if at >= len(self.bytes):
                    return
                byte = self.bytes[at]
                length |= (byte & 127) << shift
                shift, at = shift + 7, at + 1
                if byte < 128:
                    break
            if len(self.bytes) < at + length:
                return
            first, body = self.bytes[0], bytes(self.bytes[at:at + length])
            del self.bytes[:at + length]
            self.end += at + length
            yield first, body


def variable(body, at):
    """An MQTT 5 variable byte integer, and where it ends."""
    value, shift = 0, 0
    while True:
        byte = body[at]
        value |= (byte & 127) << shift
        shift, at = shift + 7, at + 1
        if byte < 128:
            return value, at


def publish(first, body):
    """(topic, packet id, payload) of an MQTT 5 PUBLISH; the id is 0 for QoS 0."""
    size = int.from_bytes(body[:2], "big")
    topic, at, packet = body[2:2 + size].decode(), 2 + size, 0
    if first >> 1 & 3:
        packet, at = int.from_bytes(body[at:at + 2], "big"), at + 2
    properties, at = variable(body, at)
    return topic, packet, body[at + properties:]


class Connection:
    """One of the daemon's, with the packet ids of what is under way on it."""

    def __init__(self, near):
        self.near, self.passed = near, 0  # bytes handed to the kernel for the daemon
        self.events, self.results = {}, {}
        # Events acknowledged on it, in order; the broker has had so many of these acknowledgements for certain.
        self.taken, self.certain = [], 0

    def arrived(self):
        """Bytes that the daemon's kernel has; also said of a connection that has ended, for it is never closed."""
        waiting = struct.unpack("i", fcntl.ioctl(self.near, termios.TIOCOUTQ, bytes(4)))[0]
        return self.passed - waiting


class Wire:
    def __init__(self, place, broker):
        self.lock = threading.Lock()
        self.handed = collections.defaultdict(list)  # event's topic → [DUP flag of each PUBLISH to the daemon]
        self.forgotten = set()  # events handed out again although the broker had had the daemon's acknowledgement
        self.confirmed = set()
        self.taken = set()  # events' topics that the daemon acknowledged
        self.published = collections.Counter()  # (event's topic, id) → times the daemon published its result
        # (event's topic, id) → [(connection, byte at which the acknowledgement ends)] of each by the broker
        self.promised = collections.defaultdict(list)
        self.needless = []  # results published again although the daemon had their acknowledgement
        self.since = None  # when the daemon's present connection began
        self.unanswered = []  # results published again because it had none: it was not sent, or lost on its way
        host, port = broker.rsplit(":", 1)
        self.broker = (host, int(port))
        host, port = place.rsplit(":", 1)
        self.listener = socket.create_server((host, int(port)))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            near, _ = self.listener.accept()
            try:
                far = socket.create_connection(self.broker, 5)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one = Connection(near)
            threading.Thread(target=self.carry, args=(near, far, self.from_daemon, one), daemon=True).start()
            threading.Thread(target=self.carry, args=(far, near, self.from_broker, one), daemon=True).start()

    def carry(self, source, target, note, connection):
        packets = Packets()
        while True:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            if not data:
                break
            with self.lock:
                for first, body in packets.add(data):
                    note(first, body, connection, packets.end)
            try:
                target.sendall(data)
                if target is connection.near:
                    connection.passed += len(data)
            except OSError:
                # The other direction goes on: what the dead side has said last must still arrive.
                pass
        self.since = None
        # Only this direction ends: a close would throw away what the other side has not read yet.
        try:
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def from_broker(self, first, body, connection, end):
        kind = first >> 4
        if kind == CONNACK:
            self.since = time.monotonic()
        elif kind == PUBLISH:
            topic, packet, _ = publish(first, body)
            if topic.startswith("bench/"):
                self.handed[topic].append(first >> 3 & 1)
                if topic in self.confirmed:
                    self.forgotten.add(topic)
                connection.events[packet] = topic
        elif kind == PUBACK:
            result, before = connection.results.pop(int.from_bytes(body[:2], "big"), (None, 0))
            if result:
                # It reads what the daemon sends in order.
                self.confirmed.update(connection.taken[connection.certain:before])
                connection.certain = max(connection.certain, before)
                self.promised[result].append((connection, end))

    def from_daemon(self, first, body, connection, _):
        kind = first >> 4
        if kind == PUBLISH:
            topic, packet, payload = publish(first, body)
            if topic.endswith("/result"):
                envelope = json.loads(payload)
                result = (envelope["topic"], envelope["id"])
                self.published[result] += 1
                if any(other.arrived() >= end for other, end in self.promised[result]):
                    self.needless.append(result)
                elif self.published[result] > 1:
                    self.unanswered.append(result)
                connection.results[packet] = (result, len(connection.taken))
        elif kind == PUBACK:
            topic = connection.events.pop(int.from_bytes(body[:2], "big"), None)
            if topic:
                self.taken.add(topic)
                connection.taken.append(topic)

    def settled(self, seconds):
        """Whether the daemon has been connected for so long."""
        since = self.since
        return since is not None and time.monotonic() - since >= seconds

    def whose(self, unheard):
        """Tells the events without a result apart by who had promised to keep them."""
        with self.lock:
            told = {topic for (topic, _), promises in self.promised.items() if promises}
            return {
                "result": {topic for topic in unheard if topic in told},
                "event": {topic for topic in unheard if topic not in told and topic not in self.taken},
                "daemon": {topic for topic in unheard if topic not in told and topic in self.taken},
            }
