#!/usr/bin/env python3
"""The peer: llama.cpp's server behind a paho bridge, the way it is built today.

Subscribes to a topic, asks llama-server to classify each event (one of a few
labels, held to them by a grammar, the prompt's beginning cached) and publishes
the answer. Needs paho-mqtt >= 2.
"""
import argparse
import http.client
import json
import queue
import signal
import socket
import sys
import threading
import time

import paho.mqtt.client as mqtt

TEMPLATE = (
    "<|im_start|>system\n{system}<|im_end|>\n"
    "<|im_start|>user\n{instruction}\nEvent: {event}<|im_end|>\n"
    "<|im_start|>assistant\n"
)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--broker", required=True, help="host:port")
    parser.add_argument("--server", required=True, help="llama-server's host:port")
    parser.add_argument("--subscribe", required=True, help="topic of the events")
    parser.add_argument("--publish", required=True, help="topic of the results")
    parser.add_argument("--labels", required=True, help="a,b,c")
    parser.add_argument("--qos", type=int, choices=(0, 1), default=0)
    parser.add_argument("--parallel", type=int, default=1, help="requests at a time")
    parser.add_argument("--system", default="You classify events of a home.")
    return parser.parse_args()


class Classifier:
    """One connection to llama-server, kept open."""

    def __init__(self, server, labels, system):
        host, port = server.rsplit(":", 1)
        self.connection = http.client.HTTPConnection(host, int(port), timeout=120)
        self.labels = labels
        self.system = system
        self.instruction = "Answer with exactly one of these labels: " + ", ".join(labels) + "."
        self.grammar = "root ::= " + " | ".join(json.dumps(label) for label in labels)

    def label(self, event):
        body = {
            "prompt": TEMPLATE.format(system=self.system, instruction=self.instruction, event=event),
            "n_predict": 8,
            "temperature": 0,
            "cache_prompt": True,
            "grammar": self.grammar,
        }
        try:
            self.connection.request(
                "POST", "/completion", json.dumps(body), {"Content-Type": "application/json"})
            response = self.connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException):
            self.connection.close()  # the next request opens it again
            raise
        if response.status != 200:
            raise RuntimeError(f"llama-server answered {response.status}: {answer}")
        label = answer["content"].strip()
        if label not in self.labels:
            raise RuntimeError(f"not a label: {label!r}")
        return label, answer


def main():
    options = arguments()
    labels = options.labels.split(",")
    events = queue.Queue()
    stop = threading.Event()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="peer-bridge")

    def connected(client, _userdata, _flags, reason, _properties):
        if reason.is_failure:
            sys.exit(f"peer_bridge: broker refused: {reason}")
        client.subscribe(options.subscribe, options.qos)

    def received(_client, _userdata, message):
        events.put((message.topic, message.payload.decode("utf-8", "replace"), time.monotonic()))

    def work():
        classifier = Classifier(options.server, labels, options.system)
        while True:
            topic, event, arrived = events.get()
            started = time.monotonic()
            result = {"topic": topic}
            try:
                label, answer = classifier.label(event)
                result |= {
                    "label": label,
                    "tokens": {
                        "prompt": answer.get("tokens_evaluated"),
                        "cached": answer.get("tokens_cached"),
                        "generated": answer.get("tokens_predicted"),
                    },
                }
            except Exception as error:  # one bad event must not end the bridge
                result["error"] = str(error)
            ended = time.monotonic()
            result["latency_ms"] = round((ended - started) * 1000, 2)
            result["queue_ms"] = round((started - arrived) * 1000, 2)
            client.publish(options.publish, json.dumps(result), options.qos)

    # One small packet after the other: without this each waits for the last one's ACK.
    client.on_socket_open = lambda _client, _userdata, connection: connection.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.on_connect = connected
    client.on_message = received
    for _ in range(options.parallel):
        threading.Thread(target=work, daemon=True).start()
    host, port = options.broker.rsplit(":", 1)
    client.connect(host, int(port))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    client.loop_start()
    stop.wait()
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main()
