#!/bin/bash
# Bytes written to the disk for a QoS 1 event that is accepted, answered and acknowledged: alone, eight at a time, and in
# bursts of 900. What the kernel counts as sent to the disk (write_bytes of /proc/PID/io), so not on a tmpfs.
#
#   MARTLET=…/martlet TMPDIR=/var/tmp bench/written.sh
#
# Settings by environment, with their defaults: EVENTS=5000
set -euo pipefail
: "${MARTLET:?path of martlet}"
# shellcheck source=bench/faults.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/faults.sh"
start_broker
write_configuration events 5
count written --events "${EVENTS:-5000}"
