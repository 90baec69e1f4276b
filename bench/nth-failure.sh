#!/bin/bash
# Fails every call of libc that the daemon, SQLite or libmosquitto makes from its start through one event's life to its
# end, once and for good: no crash, and the event is answered, at the latest after a restart.
#
#   MARTLET=…/martlet bench/nth-failure.sh
#
# Settings by environment, with their defaults:
#   STEP=1 FIRST=1   every how manyth call, from which on
#   MODES="once,for good"
set -euo pipefail
: "${MARTLET:?path of martlet}"
# shellcheck source=bench/faults.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/faults.sh"
library=$("$here/counters/build.sh" failures)
start_broker
write_configuration events 5
"$python" "$here/nth_failure.py" --martlet "$MARTLET" --library "$library" --work "$work" --broker "$broker" \
    --step "${STEP:-1}" --from "${FIRST:-1}" --modes "${MODES:-once,for good}"
