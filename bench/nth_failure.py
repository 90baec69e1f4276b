#!/usr/bin/env python3
"""Fails every call of libc that the daemon, SQLite or libmosquitto makes between start and the end of one event's life:
the 1st, the 2nd, the 3rd …, once, and then for good. Behind nth-failure.sh.

After each failure: the process must not have died of a signal, and the event must have been answered, at the latest by
a daemon that is started again without a failure. Needs paho-mqtt >= 2; prints one JSON object.
"""
import argparse
import collections
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import paho.mqtt.client as mqtt


class Ear:
    """Publishes events and hears results."""

    def __init__(self, broker):
        self.changed, self.heard = threading.Condition(), {}
        host, port = broker.rsplit(":", 1)
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"ear-{os.getpid()}")
        self.client.on_connect = lambda client, *_: client.subscribe("martlet/bench/task/+/result", 1)
        self.client.on_message = self.received
        self.client.connect(host, int(port))
        self.client.loop_start()

    def received(self, _client, _data, message):
        result = json.loads(message.payload)
        with self.changed:
            self.heard.setdefault(result["topic"], set()).add(result["id"])
            self.changed.notify_all()

    def wait(self, topic, seconds, process=None):
        until = time.monotonic() + seconds
        with self.changed:
            while topic not in self.heard and time.monotonic() < until:
                if process is not None and process.poll() is not None:
                    break
                self.changed.wait(0.05)
            return topic in self.heard


def skip_runtime(martlet, path):
    """Writes down where libdispatch is in a program that it is linked into: it ends the process, or goes deaf, when its
    own descriptors fail, and no program can help that. One that links it dynamically has nothing to skip."""
    symbols = subprocess.run(["nm", "--defined-only", "-n", martlet], check=True, stdout=subprocess.PIPE, text=True)
    ranges, start = [], None
    for line in symbols.stdout.splitlines():
        address, kind, name = line.split(maxsplit=2)
        if kind not in "tTwW":
            continue
        runtime = name.startswith(("_dispatch_", "dispatch_"))
        if start is not None and not runtime:
            ranges.append((start, address))
            start = None
        elif runtime and start is None:
            start = address
    with open(path, "w", encoding="ascii") as file:
        file.writelines(f"{start} {end}\n" for start, end in ranges)


def run(options, state, log, fail_at=0, for_good=False):
    # A cache of its own, so that every life writes the states behind its prompts, too.
    environment = dict(os.environ, STATE_DIRECTORY=state, MARTLET_CACHE=f"{state}/cache", FAIL_SKIP=f"{options.work}/runtime")
    environment |= {"LD_PRELOAD": options.library, "FAIL_LOG": log, "FAIL_AT": str(fail_at)}
    if for_good:
        environment["FAIL_FOR_GOOD"] = "1"
    with open(log + ".stderr", "ab") as errors:
        return subprocess.Popen([options.martlet, "run", "--config", f"{options.work}/martlet.toml"],
                                env=environment, stderr=errors, stdout=errors)


def stop(process):
    """SIGTERM and the exit status; what does not end is killed and reported as hanging."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return "hangs"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--martlet", required=True)
    parser.add_argument("--library", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--from", type=int, default=1, dest="first")
    parser.add_argument("--modes", default="once,for good")
    options = parser.parse_args()
    skip_runtime(options.martlet, f"{options.work}/runtime")
    ear, number = Ear(options.broker), 0
    state, log = f"{options.work}/state", f"{options.work}/failures"

    def event():
        nonlocal number
        number += 1
        ear.client.publish(f"bench/events/{number}", f"motion at the door, reading {number}", 1).wait_for_publish(10)
        return f"bench/events/{number}"

    def life(**failure):
        for path in (log, log + ".stderr"):
            if os.path.exists(path):
                os.unlink(path)
        shutil.rmtree(state, ignore_errors=True)
        os.makedirs(state)
        topic = event()
        process = run(options, state, log, **failure)
        heard = ear.wait(topic, 4, process)
        return topic, heard, stop(process)

    # A session first, so that the broker keeps the events of those that never connect.
    process = run(options, state, log)
    time.sleep(3)
    stop(process)
    topic, heard, status = life()
    if not heard or status:
        sys.exit(f"nth_failure: without a failure the event is not answered (status {status})")
    calls = max(int(line.split()[2]) for line in open(log, encoding="ascii") if line.startswith("calls"))
    kinds, statuses, bad = collections.Counter(), collections.Counter(), []
    for mode in options.modes.split(","):
        for at in range(options.first, calls + 1, options.step):
            topic, heard, status = life(fail_at=at, for_good=mode == "for good")
            name = "none"
            if os.path.exists(log):
                name = next((line.split()[1] for line in open(log, encoding="ascii") if line.startswith("fails")), "none")
            kinds[name] += 1
            statuses[str(status)] += 1
            if not heard:
                process = run(options, state, log)
                heard = ear.wait(topic, 20, process)
                stop(process)
            crashed = isinstance(status, int) and status < 0
            if crashed or not heard or status == "hangs" or len(ear.heard.get(topic, ())) > 1:
                said = open(log + ".stderr", encoding="utf-8", errors="replace").read().splitlines()
                bad.append({"mode": mode, "at": at, "call": name, "status": status, "answered": heard,
                            "said": said[-1][:200] if said else ""})
                print(f"nth_failure: {bad[-1]}", file=sys.stderr, flush=True)
    # A life may make a call less than the one that was counted; where many do, nothing was shown.
    unmet = kinds.pop("none", 0)
    shown = sum(kinds.values()) > 9 * unmet
    print(json.dumps({"calls": calls, "failed": sum(kinds.values()), "not_reached": unmet, "by_function": kinds, "exit_statuses": statuses,
                      "bad": len(bad), "fits": shown and not bad}), flush=True)
    sys.exit(0 if shown and not bad else 1)


main()
