#!/usr/bin/env python3
"""Counts what becomes of QoS 1 events while things break: the commands behind kill9.sh, broker-restarts.sh,
network-cut.sh and burst.sh, which give it a broker and a daemon of its own.

Every event has a topic of its own, bench/<task>/<number>, and an envelope names its event's topic and id: so each
envelope is told apart from a repetition (same event, same id) and from an event that was taken twice (other id).
Needs paho-mqtt >= 2. Prints one JSON object; exit status 1 when something is not as it must be.
"""
import argparse
import atexit
import collections
import glob
import json
import os
import random
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from wire import Wire


class Daemon:
    """`martlet run`, to be killed and started again on the same state folder."""

    def __init__(self, options):
        self.command = [options.martlet, "run", "--config", f"{options.work}/martlet.toml"]
        if options.namespace:
            self.command = ["ip", "netns", "exec", options.namespace] + self.command
        self.state, self.log = f"{options.work}/state", open(f"{options.work}/martlet.log", "ab")
        os.makedirs(self.state, exist_ok=True)
        self.process = None
        # Whatever ends this program: nothing of it stays.
        atexit.register(lambda: self.process and self.process.poll() is None and self.kill())

    def start(self):
        environment = dict(os.environ, STATE_DIRECTORY=self.state)
        self.process = subprocess.Popen(self.command, env=environment, stderr=self.log, stdout=self.log)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.terminate()
        return self.process.wait(60)

    def spooled(self):
        """Ids of what is under way: events without an answer, and answers the broker has not acknowledged."""
        copy = f"{self.state}/../copy"
        shutil.rmtree(copy, ignore_errors=True)
        os.makedirs(copy)
        for path in glob.glob(f"{self.state}/spool.db*"):
            if not path.endswith("-shm"):
                shutil.copy(path, copy)
        if not os.path.exists(f"{copy}/spool.db"):
            return set()
        with sqlite3.connect(f"{copy}/spool.db") as database:
            if database.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                sys.exit("delivery: the spool is damaged")
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'message'").fetchone():
                return set()
            ids = {row[0] for row in database.execute("SELECT id FROM event")}
            for row in database.execute("SELECT payload FROM message"):
                ids.add(json.loads(row[0]).get("id"))
        database.close()
        return ids

    def anonymous(self):
        """Resident anonymous KiB; 0 when it is not running."""
        try:
            with open(f"/proc/{self.process.pid}/status", encoding="ascii", errors="replace") as status:
                return next((int(line.split()[1]) for line in status if line.startswith("RssAnon:")), 0)
        except (OSError, ValueError):
            return 0


class Witness:
    """Publishes events and hears every envelope, with a session that outlives its connections."""

    def __init__(self, options, on_health=None):
        self.changed = threading.Condition()
        self.heard = collections.defaultdict(list)  # topic → [(id, time, kind)]
        self.order, self.repeated, self.health = [], 0, {}
        self.unacknowledged, self.on_health = 0, on_health
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="witness", protocol=mqtt.MQTTv5)
        self.client.max_inflight_messages_set(2000)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_socket_open = lambda _client, _data, connection: connection.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client.on_connect = self.connected
        self.client.on_message = self.received
        self.client.on_publish = self.acknowledged
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 7200
        host, port = options.broker.rsplit(":", 1)
        self.ready = threading.Event()
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.connect(host, int(port), clean_start=False, properties=session, keepalive=30)
        self.client.loop_start()
        if not self.ready.wait(20):
            sys.exit("delivery: no broker")

    def connected(self, client, *_):
        client.subscribe([("martlet/bench/task/+/result", 1), ("martlet/bench/health", 0)])

    def received(self, _client, _data, message):
        body = json.loads(message.payload)
        if message.topic.endswith("/health"):
            with self.changed:
                self.health = body
                self.changed.notify_all()
            return
        error = body.get("error")
        kind = "answered" if error is None else error
        with self.changed:
            if message.dup and any(body["id"] == answer[0] for answer in self.heard[body["topic"]]):
                # The broker says that it sends this once more: its doing, not the daemon's.
                self.repeated += 1
                return
            self.heard[body["topic"]].append((body["id"], time.monotonic(), kind))
            self.order.append((body["topic"], kind))
            self.changed.notify_all()

    def expect_daemon(self):
        """Waits until it has reported, which it does after it has subscribed."""
        if not self.wait(lambda: self.health, 60):
            sys.exit("delivery: the daemon does not report")

    def acknowledged(self, *_):
        with self.changed:
            self.unacknowledged -= 1
            self.changed.notify_all()

    def publish(self, topic, text):
        with self.changed:
            self.unacknowledged += 1
        self.client.publish(topic, text, 1)

    def wait(self, condition, seconds):
        with self.changed:
            return self.changed.wait_for(condition, seconds)

    def report(self, total, under_way=None):
        """What must be: each event answered, once; repetitions only of what was under way at a crash."""
        topics = self.heard.values()
        twice = [answers for answers in topics if len(answers) > 1]
        other = sum(len({answer[0] for answer in answers}) > 1 for answers in twice)
        report = {"events": total, "lost": total - len(self.heard), "answered_more_than_once": len(twice),
                  "taken_twice": other, "kinds": collections.Counter(kind for _, kind in self.order)}
        if under_way is not None:
            report["not_under_way"] = sum(answer[0] not in under_way for answers in twice for answer in answers[1:])
        return report


def text(number):
    return f"motion at the door, reading {number}"


def kill9(options):
    """The daemon is killed at random moments of its life, from its first millisecond on."""
    dice = random.Random(options.seed)
    witness, daemon = Witness(options), Daemon(options)
    published, under_way = 0, set()
    # An event is the daemon's from the first subscription on; before it the broker has nobody to keep it for.
    daemon.start()
    witness.expect_daemon()
    daemon.stop()
    for kill in range(options.times):
        daemon.start()
        moment = time.monotonic() + dice.uniform(0, options.longest)
        goal = options.events * (kill + 1) // options.times
        while published < goal:
            published += 1
            witness.publish(f"bench/events/{published}", text(published))
            # Spread over the whole of its life.
            left = moment - time.monotonic()
            if left > 0:
                time.sleep(left * dice.random() * 2 / max(1, goal - published))
        time.sleep(max(0, moment - time.monotonic()))
        daemon.kill()
        under_way |= daemon.spooled()
    daemon.start()
    witness.wait(lambda: len(witness.heard) >= published, options.patience)
    time.sleep(2)
    status = daemon.stop()
    report = witness.report(published, under_way) | {
        "kills": options.times, "seed": options.seed, "left_in_spool": len(daemon.spooled()), "exit_status": status}
    bad = report["lost"] or report["taken_twice"] or report["not_under_way"] or report["left_in_spool"] or status
    return report, bad


def brokers(options):
    """The broker is killed, or ended, while it hands out events and takes results."""
    dice = random.Random(options.seed)
    wire = Wire(options.wire, options.broker)
    witness, daemon = Witness(options), Daemon(options)
    daemon.start()
    witness.expect_daemon()
    published, missing, rounds, log = 0, 0, {}, open(f"{options.work}/mosquitto.log", "ab")
    broker, signals = int(options.broker_pid), options.signals.split(",")
    for restart in range(options.times):
        until = time.monotonic() + 150
        while not wire.settled(options.settle) and time.monotonic() < until:
            time.sleep(0.05)
        # What a broker that is killed had acknowledged but not yet written is its loss; do not wait for it each time.
        if not witness.wait(lambda: len(witness.heard) + missing >= published, 20):
            missing = published - len(witness.heard)
        goal = options.events * (restart + 1) // options.times
        while published < goal:
            published += 1
            rounds[f"bench/events/{published}"] = signals[restart % len(signals)]
            witness.publish(f"bench/events/{published}", text(published))
        # The sender's own messages are acknowledged before the broker dies: what comes twice is then not its doing.
        witness.wait(lambda: witness.unacknowledged == 0, 60)
        time.sleep(0.02 + dice.uniform(0, options.longest))
        os.kill(broker, getattr(signal, f"SIG{signals[restart % len(signals)]}"))
        while lives(broker):
            time.sleep(0.01)
        broker = subprocess.Popen(["mosquitto", "-c", f"{options.work}/mosquitto.conf"], stdout=log, stderr=log).pid
    witness.wait(lambda: len(witness.heard) + missing >= published, 120)
    time.sleep(5)
    status = daemon.stop()
    os.kill(broker, signal.SIGTERM)
    # One session for all connections, or the broker was not the same: nobody can then know what comes again.
    with open(f"{options.work}/martlet.log", encoding="utf-8", errors="replace") as lines:
        sessions = sum(line.rstrip().endswith("connected to the broker") for line in lines)
    unheard = set(rounds) - set(witness.heard)
    whose = wire.whose(unheard)
    # The broker died after it had handed a result on and before it acknowledged it: QoS 1 then wants it once more.
    owed = {topic for topic, _ in wire.unanswered}
    twice = {topic for topic, answers in witness.heard.items() if len(answers) > 1}
    # An event that a broker hands out as a new one, or again after it had had the acknowledgement: it has forgotten.
    anew = {topic for topic, flags in wire.handed.items() if flags.count(0) > 1} | wire.forgotten
    other = {topic for topic in twice if len({answer[0] for answer in witness.heard[topic]}) > 1}
    ended = {topic for topic, name in rounds.items() if name != "KILL"}
    report = {
        "events": published, "restarts": options.times, "signals": options.signals, "seed": options.seed,
        "lost_by_daemon": len(whose["daemon"]), "published_after_acknowledgement": len(wire.needless),
        "events_taken_twice": len(other - anew),
        "killed_broker_lost": {"acknowledged_results": len(whose["result"]), "acknowledged_events": len(whose["event"])},
        "killed_broker_repeated": {"results_not_acknowledged": len(twice & owed - other), "events": len(other & anew)},
        "ended_broker": {"events": len(ended), "lost": len(unheard & ended), "answered_more_than_once": len(twice & ended)},
        "kinds": collections.Counter(kind for _, kind in witness.order), "repeated_by_broker": witness.repeated,
        "sessions": sessions, "left_in_spool": len(daemon.spooled()), "exit_status": status}
    unexplained = twice - owed - anew
    report["twice_for_no_reason"] = len(unexplained)
    bad = (whose["daemon"] or wire.needless or other - anew or unexplained or unheard & ended or twice & ended
           or sessions != 1 or report["left_in_spool"] or status)
    return report, bad


def backlog(options):
    """Everything that waited in a resumed session is repeated, to the same daemon or, with --kill, to the next one."""
    wire = Wire(options.wire, options.broker)
    witness, daemon = Witness(options), Daemon(options)
    daemon.start()
    witness.expect_daemon()
    broker = int(options.broker_pid)

    def restart(name):
        nonlocal broker
        os.kill(broker, name)
        while lives(broker):
            time.sleep(0.01)
        broker = subprocess.Popen(["mosquitto", "-c", f"{options.work}/mosquitto.conf"], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL).pid

    time.sleep(1)
    os.kill(daemon.process.pid, signal.SIGSTOP)
    restart(signal.SIGTERM)
    time.sleep(3)
    for number in range(1, options.events + 1):
        witness.publish(f"bench/events/{number}", text(number))
    witness.wait(lambda: witness.unacknowledged == 0, 200)
    time.sleep(1)
    os.kill(daemon.process.pid, signal.SIGCONT)
    until = time.monotonic() + 60
    while len(wire.taken) < options.events and time.monotonic() < until:
        time.sleep(0.01)
    # It saves at every change, an acknowledgement a time, so most of them are not in its file yet.
    if options.kill:
        daemon.kill()
    restart(signal.SIGKILL)
    if options.kill:
        daemon.start()
    witness.wait(lambda: len(witness.heard) >= options.events, options.patience)
    time.sleep(10)
    status = daemon.stop()
    os.kill(broker, signal.SIGTERM)
    report = witness.report(options.events) | {
        "repeated_by_broker": sum(len(flags) > 1 for flags in wire.handed.values()), "killed": bool(options.kill),
        "left_in_spool": len(daemon.spooled()), "exit_status": status}
    return report, bool(report["lost"] or report["taken_twice"] or report["left_in_spool"] or status)


def lives(process):
    """Whether a process runs, its own child or another's."""
    try:
        with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def cut(options):
    """The network between the daemon's host and the broker's is cut while events flow."""
    # On the broker's side of the cut.
    wire = Wire(options.wire, options.broker)
    witness, daemon = Witness(options), Daemon(options)
    daemon.start()
    witness.expect_daemon()
    published = 0

    def flow(until, pause):
        nonlocal published
        while published < until:
            published += 1
            witness.publish(f"bench/events/{published}", text(published))
            time.sleep(pause)

    def link(state):
        subprocess.run(["ip", "-n", options.namespace, "link", "set", options.link, state], check=True)
        if state == "up" and options.route:
            subprocess.run(["ip", "-n", options.namespace] + options.route.split(), check=False)

    share = options.events // (2 * len(options.cuts) + 1)
    for seconds in options.cuts:
        flow(published + share, 0.005)
        if options.quiet:
            witness.wait(lambda: len(witness.heard) >= published, 60)
            time.sleep(1)
        link("down")
        started = time.monotonic()
        flow(published + share, seconds / 2 / share)
        time.sleep(max(0, started + seconds - time.monotonic()))
        link("up")
    flow(options.events, 0.005)
    witness.wait(lambda: len(witness.heard) >= published, options.patience)
    time.sleep(5)
    status = daemon.stop()
    twice = {(topic, answers[0][0]) for topic, answers in witness.heard.items() if len(answers) > 1}
    # The broker acknowledged a result and the cut kept that from the daemon: QoS 1 then wants it once more.
    lost = set(wire.unanswered)
    report = witness.report(published) | {
        "published_after_acknowledgement": len(wire.needless), "acknowledgements_lost_on_the_way": len(twice & lost),
        "twice_for_no_reason": len(twice - lost),
        "cuts_s": options.cuts, "left_in_spool": len(daemon.spooled()), "exit_status": status}
    bad = (report["lost"] or report["taken_twice"] or wire.needless or twice - lost or report["left_in_spool"]
           or status or options.quiet and twice)
    return report, bad


def burst(options):
    """Far more than the daemon can compute, at ten priorities."""
    witness, daemon = Witness(options), Daemon(options)
    daemon.start()
    witness.expect_daemon()
    most, running = [0], True

    def watch():
        while running:
            most[0] = max(most[0], daemon.anonymous())
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.monotonic()
    sender = [sys.executable, f"{os.path.dirname(os.path.abspath(__file__))}/blast.py", options.broker,
              str(options.events), str(options.seconds * 0.95), str(options.seed)]
    published_in = float(subprocess.run(sender, check=True, stdout=subprocess.PIPE).stdout)
    witness.wait(lambda: len(witness.heard) >= options.events, options.patience)
    answered_in = time.monotonic() - started
    # The board is sampled, and health published, every five seconds.
    time.sleep(8)
    running = False
    watcher.join()
    health = witness.health
    status = daemon.stop()
    report = witness.report(options.events)
    per = {p: collections.Counter() for p in range(10)}
    for topic, kind in witness.order:
        per[int(topic.split("/")[1][1:])][kind] += 1
    shares = [round(per[p]["answered"] / max(1, sum(per[p].values())), 4) for p in range(10)]
    kinds = report["kinds"]
    report |= {
        "published_in_s": published_in, "all_told_in_s": round(answered_in, 2),
        "anonymous_mb": round(most[0] / 1024, 1), "limit_mb": options.limit, "answered_share_by_priority": shares,
        "health_dropped": health.get("engine", {}).get("dropped"),
        "health_expired": health.get("engine", {}).get("expired"), "exit_status": status}
    accepted = kinds["answered"] + kinds["expired"] + kinds["shed"]
    report["accepted_is_answered_expired_shed"] = accepted == options.events and len(kinds) <= 3
    report["counted"] = (report["health_dropped"], report["health_expired"]) == (kinds["shed"], kinds["expired"])
    # The more important first: nearly all of the most important ones, or nearly no others. Rising shares alone would
    # also fit ten equal ones.
    rising = all(low <= high + 0.02 for low, high in zip(shares, shares[1:]))
    first = shares[9] >= 0.95 or per[9]["answered"] >= 0.9 * kinds["answered"] > 0
    report["important_first"] = rising and first
    bad = (report["lost"] or report["answered_more_than_once"] or status or not rising or not first or not report["counted"]
           or published_in > options.seconds or not report["accepted_is_answered_expired_shed"] or most[0] / 1024 > options.limit)
    return report, bad


def disk(options):
    """The disk is full, the file damaged, the folder read-only; needs root for the tmpfs that common.sh's caller mounts."""
    dice = random.Random(options.seed)
    witness, daemon = Witness(options), Daemon(options)
    published, phases, problems = 0, {}, []
    filler = f"{daemon.state}/filler"

    def phase(name, count, only_answers=False):
        """Events, each of which must get its envelope."""
        nonlocal published
        before = collections.Counter(kind for _, kind in witness.order)
        first = published
        while published < first + count:
            published += 1
            witness.publish(f"bench/events/{published}", text(published))
        witness.wait(lambda: all(f"bench/events/{number}" in witness.heard for number in range(first + 1, published + 1)), 60)
        missing = sum(f"bench/events/{number}" not in witness.heard for number in range(first + 1, published + 1))
        kinds = collections.Counter(kind for _, kind in witness.order) - before
        phases[name] = dict(kinds) | ({"missing": missing} if missing else {})
        if missing or only_answers and set(kinds) != {"answered"}:
            problems.append(name)

    def fill():
        try:
            with open(filler, "wb", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass
        except OSError:
            phases["files_kib"] = {os.path.basename(path): os.path.getsize(path) >> 10 for path in glob.glob(f"{daemon.state}/*")}

    def free():
        for _ in range(3):
            try:
                os.unlink(filler)
            except OSError:
                time.sleep(0.1)

    daemon.start()
    witness.expect_daemon()
    phase("room", 200, only_answers=True)
    fill()
    phase("full", 300)
    daemon.kill()
    daemon.start()
    phase("started on a full disk", 100)
    free()
    time.sleep(2)
    phase("room again", 100, only_answers=True)
    # Killed with events waiting, then 1,000 random bytes of its file.
    for _ in range(400):
        published += 1
        witness.publish(f"bench/events/{published}", text(published))
    witness.wait(lambda: witness.unacknowledged == 0, 30)
    time.sleep(0.05)
    daemon.kill()
    under_way = len(daemon.spooled())
    with open(f"{daemon.state}/spool.db", "r+b") as file:
        size = os.fstat(file.fileno()).st_size
        for _ in range(1000):
            file.seek(dice.randrange(size))
            file.write(bytes([dice.randrange(256)]))
    daemon.start()
    time.sleep(3)
    phase("after 1,000 damaged bytes", 100, only_answers=True)
    without = published - len(witness.heard)
    phases["damage"] = {"under_way": under_way, "without_envelope": without}
    # 1,000 bytes in 4 MB meet about a third of the pages that are in use.
    if not under_way or without > under_way / 2:
        problems.append("damage")
    daemon.stop()
    subprocess.run(["mount", "-o", "remount,ro", daemon.state], check=True)
    daemon.start()
    status = daemon.process.wait(30)
    phases["read-only"] = {"exit_status": status}
    if status != 73:
        problems.append("read-only")
    subprocess.run(["mount", "-o", "remount,rw", daemon.state], check=True)
    daemon.start()
    phase("writable again", 100, only_answers=True)
    status = daemon.stop()
    said = [line.split(" ", 1)[-1].strip() for line in open(f"{options.work}/martlet.log", encoding="utf-8", errors="replace")
            if "spool" in line and "info:" not in line]
    left = len(daemon.spooled())
    if status or left or not said:
        problems.append("end")
    return {"phases": phases, "exit_status": status, "left_in_spool": left, "said": sorted(set(said))[:8],
            "integrity": "ok", "problems": problems}, bool(problems)


def written(options):
    """Bytes that reach the card for an event: alone, and among others that arrive together."""
    witness, daemon = Witness(options), Daemon(options)
    daemon.start()
    witness.expect_daemon()
    published, report, bad = 0, {}, False

    def bytes_written():
        os.sync()
        with open(f"/proc/{daemon.process.pid}/io", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("write_bytes"))

    for name, count, together in [("alone", options.events // 10, 1), ("eight_together", options.events // 2, 8),
                                  ("burst", options.events, 900)]:
        time.sleep(1)
        before, started = bytes_written(), time.monotonic()
        goal = published + count
        while published < goal:
            published += 1
            witness.publish(f"bench/events/{published}", text(published))
            if published % together == 0 and not witness.wait(lambda: len(witness.heard) >= published, 60):
                bad = True
        bad = bad or not witness.wait(lambda: len(witness.heard) >= published, options.patience)
        seconds = time.monotonic() - started
        time.sleep(1)
        report[name] = {"events": count, "events_per_second": round(count / seconds, 1),
                        "bytes_per_event": round((bytes_written() - before) / count)}
    status = daemon.stop()
    return report | witness.report(published) | {"exit_status": status}, bool(bad or status)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["kill9", "brokers", "backlog", "cut", "burst", "disk", "written"])
    parser.add_argument("--martlet", required=True)
    parser.add_argument("--work", required=True, help="folder with martlet.toml")
    parser.add_argument("--broker", required=True, help="host:port")
    parser.add_argument("--broker-pid")
    parser.add_argument("--wire", help="host:port at which the daemon finds its broker")
    parser.add_argument("--signals", default="KILL,TERM", help="how the broker ends, in turn")
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--longest", type=float, default=1.0, help="seconds until a kill at most")
    parser.add_argument("--settle", type=float, default=0, help="seconds of the daemon's connection before the next")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--limit", type=float, default=32, help="MiB of anonymous memory")
    parser.add_argument("--patience", type=float, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--namespace")
    parser.add_argument("--link")
    parser.add_argument("--route", default="")
    parser.add_argument("--kill", type=int, default=0, help="1: the daemon too")
    parser.add_argument("--quiet", type=int, default=0, help="1: the link is cut when nothing is on its way")
    parser.add_argument("--cuts", type=lambda text: [float(part) for part in text.split(",")], default=[600.0])
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    report, bad = {"kill9": kill9, "brokers": brokers, "backlog": backlog, "cut": cut, "burst": burst, "disk": disk,
                   "written": written}[options.what](options)
    print(json.dumps(report | {"fits": not bad}), flush=True)
    sys.exit(1 if bad else 0)


main()
