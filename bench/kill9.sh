#!/bin/bash
# 10,000 QoS 1 events while the daemon is killed with SIGKILL at 200 random moments, start-up included: none may be
# lost, and an envelope may come again only with the id of an event that was under way at a kill.
#
#   MARTLET=…/martlet bench/kill9.sh
#
# Settings by environment, with their defaults:
#   MODEL=            a GGUF file; none: a tiny one with random weights, because the engine is not what is measured
#   EVENTS=10000 KILLS=200 LONGEST=1.2   seconds between start and kill at most
#   SEED=1
set -euo pipefail
: "${MARTLET:?path of martlet}"
# shellcheck source=bench/faults.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/faults.sh"
start_broker
write_configuration events 5
count kill9 --events "${EVENTS:-10000}" --times "${KILLS:-200}" --longest "${LONGEST:-1.2}"
