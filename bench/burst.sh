#!/bin/bash
# 50,000 QoS 1 events in 10 seconds at ten priorities, far more than can be computed: anonymous memory stays below the
# configured limit, the more important are answered first, and the rest is shed or expires and is counted:
# accepted = answered + expired + shed.
#
#   MARTLET=…/martlet MODEL=….gguf bench/burst.sh
#
# Settings by environment, with their defaults:
#   MODEL=            a GGUF file; none: a tiny one with random weights, which answers a thousand a second
#   EVENTS=50000 SECONDS_LONG=10 MEMORY=32 (MiB) DEADLINE=1s
#   SEED=1
set -euo pipefail
: "${MARTLET:?path of martlet}"
# shellcheck source=bench/faults.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/faults.sh"
start_broker
more="[limits]
memory = \"${MEMORY:-32}MiB\"" deadline=${DEADLINE:-1s}
write_configuration p0 0 p1 1 p2 2 p3 3 p4 4 p5 5 p6 6 p7 7 p8 8 p9 9
count burst --events "${EVENTS:-50000}" --seconds "${SECONDS_LONG:-10}" --limit "${MEMORY:-32}"
