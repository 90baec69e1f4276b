#!/bin/bash
# 900 QoS 1 events wait in a broker while the daemon is away; when it has taken them all, the broker is killed before it
# has saved that, and hands them out again: none may be lost, and none be taken for a new event.
#
#   MARTLET=…/martlet bench/backlog.sh
#
# Settings by environment, with their defaults:
#   MODEL=            a GGUF file; none: a tiny one with random weights
#   EVENTS=900        of 1,000 that mosquitto keeps for a client by default
#   KILL=0            1: the daemon is killed with the broker
set -euo pipefail
: "${MARTLET:?path of martlet}"
# shellcheck source=bench/faults.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/faults.sh"
start_wired_broker 127.0.0.1
count backlog --broker-pid "$broker_pid" --wire "$wire" --events "${EVENTS:-900}" --kill "${KILL:-0}"
