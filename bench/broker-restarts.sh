#!/bin/bash
# 10,000 QoS 1 events while mosquitto, which keeps its state on disk, is killed and restarted 100 times, by SIGKILL and
# SIGTERM in turn: the daemon may lose none, and publish no result again that the broker has acknowledged.
#
# A mosquitto that is killed loses what it acknowledged in the milliseconds before: it answers first and saves then. So
# the daemon's packets pass a wire that writes them down (wire.py), and what is missing is told apart by whose promise
# it was. One that is ended saves, and there everything must arrive, once.
#
#   MARTLET=…/martlet MODEL=….gguf bench/broker-restarts.sh
#
# Settings by environment, with their defaults:
#   MODEL=            a GGUF file; none: a tiny one with random weights
#   EVENTS=10000 RESTARTS=100 SIGNALS=KILL,TERM
#   LONGEST=0.5       seconds between the last event's acknowledgement and the kill at most
#   SETTLE=11         seconds of the daemon's connection before it is ended: one of less than 10 s keeps the back-off growing
#   SEED=1
set -euo pipefail
: "${MARTLET:?path of martlet}"
# shellcheck source=bench/faults.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/faults.sh"
start_wired_broker 127.0.0.1
count brokers --broker-pid "$broker_pid" --wire "$wire" --signals "${SIGNALS:-KILL,TERM}" --events "${EVENTS:-10000}" --times "${RESTARTS:-100}" \
    --longest "${LONGEST:-0.5}" --settle "${SETTLE:-11}"
