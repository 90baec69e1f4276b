#!/usr/bin/env python3
"""Events per second through anything that takes MQTT events and publishes a result for each.

Publishes the lines of a file to one topic, counts the results on another and
prints one JSON object. Works for martlet and for the peer's bridge alike.
Needs paho-mqtt >= 2.
"""
import argparse
import itertools
import json
import socket
import statistics
import sys
import threading
import time

import paho.mqtt.client as mqtt


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--broker", required=True, help="host:port")
    parser.add_argument("--events", required=True, help="a text file, one event a line")
    parser.add_argument("--topic", required=True, help="where the events go")
    parser.add_argument("--result", required=True, help="where the results come from")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--qos", type=int, choices=(0, 1), default=0)
    parser.add_argument("--warm-up", type=int, default=20, help="events before the clock starts")
    parser.add_argument("--in-flight", type=int, default=0,
                        help="unanswered events at most; 0: all at once; 1: latency too")
    parser.add_argument("--timeout", type=float, default=300, help="seconds for the whole run")
    parser.add_argument("--pid", type=int, action="append", default=[],
                        help="process whose memory is reported (repeat: the sum)")
    return parser.parse_args()


class Results:
    """Results so far; a repeated delivery (same id) counts once."""

    def __init__(self):
        self.changed = threading.Condition()
        self.clear()

    def clear(self):
        with self.changed:
            self.ids, self.count, self.errors, self.last, self.labels = set(), 0, 0, 0.0, {}

    def received(self, _client, _userdata, message):
        now = time.monotonic()
        try:
            result = json.loads(message.payload)
        except ValueError:
            result = {"label": message.payload.decode("utf-8", "replace")}
        with self.changed:
            identity = result.get("id")
            if identity is not None:
                if identity in self.ids:
                    return
                self.ids.add(identity)
            self.count += 1
            self.last = now
            if "error" in result or result.get("expired"):
                self.errors += 1
            else:
                label = str(result.get("label"))
                self.labels[label] = self.labels.get(label, 0) + 1
            self.changed.notify_all()

    def wait(self, count, until):
        with self.changed:
            return self.changed.wait_for(lambda: self.count >= count, max(0, until - time.monotonic()))


def memory(pids):
    """Anonymous and file-backed resident MiB of the processes."""
    fields = {"RssAnon": 0, "RssFile": 0}
    for pid in pids:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
            for line in status:
                name, _, rest = line.partition(":")
                if name in fields:
                    fields[name] += int(rest.split()[0])
    return {"anonymous_mb": round(fields["RssAnon"] / 1024, 1),
            "file_mb": round(fields["RssFile"] / 1024, 1)}


def main():
    options = arguments()
    with open(options.events, encoding="utf-8") as file:
        lines = [line.rstrip("\n") for line in file if line.strip()]
    if not lines:
        sys.exit("events_per_second: no events in the file")
    source = itertools.cycle(lines)
    until = time.monotonic() + options.timeout
    results = Results()
    subscribed = threading.Event()

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="events-per-second")
    client.max_inflight_messages_set(1000)
    # One small packet after the other: without this each waits for the last one's ACK.
    client.on_socket_open = lambda _client, _userdata, connection: connection.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.on_connect = lambda client, *_: client.subscribe(options.result, 1)
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = results.received
    host, port = options.broker.rsplit(":", 1)
    client.connect(host, int(port))
    client.loop_start()
    if not subscribed.wait(10):
        sys.exit("events_per_second: no broker")

    def send(count):
        """Publishes `count` events and waits for as many results; latencies when one at a time."""
        latencies = []
        results.clear()
        started = time.monotonic()
        for index in range(count):
            if options.in_flight and not results.wait(index - options.in_flight + 1, until):
                break
            published = time.monotonic()
            client.publish(options.topic, next(source), options.qos)
            if options.in_flight == 1 and results.wait(index + 1, until):
                latencies.append((results.last - published) * 1000)
        results.wait(count, until)
        return started, latencies

    # Whoever answers may still be starting: ask until the first answer comes,
    # then let the answers to the other questions pass.
    while not results.wait(1, time.monotonic() + 2):
        if time.monotonic() > until:
            sys.exit(f"events_per_second: nothing on {options.result}")
        client.publish(options.topic, next(source), options.qos)
    while results.wait(results.count + 1, time.monotonic() + 2):
        pass
    if options.warm_up:
        send(options.warm_up)

    source = itertools.cycle(lines)
    started, latencies = send(options.count)
    seconds = max(results.last - started, 1e-9)
    report = {
        "events_per_second": round(results.count / seconds, 2),
        "events": options.count, "results": results.count, "errors": results.errors,
        "seconds": round(seconds, 3), "qos": options.qos, "labels": results.labels,
    }
    if len(latencies) > 1:
        cuts = statistics.quantiles(latencies, n=20, method="inclusive")
        report |= {"latency_p50_ms": round(cuts[9], 2), "latency_p95_ms": round(cuts[18], 2)}
    if options.pid:
        report |= memory(options.pid)
    print(json.dumps(report), flush=True)
    client.disconnect()
    client.loop_stop()
    if results.count < options.count or results.errors:
        sys.exit(1)


if __name__ == "__main__":
    main()
