#!/bin/bash
# A state folder of 4 MB: full while the daemon runs and when it starts, 1,000 random bytes of its file overwritten, read-only.
# Each time it goes on or starts again, says what it did, and each accepted event has its envelope, but those on a damaged
# page. Needs root.
#
#   MARTLET=…/martlet bench/disk-faults.sh
#
# Settings by environment, with their defaults: SEED=1
set -euo pipefail
: "${MARTLET:?path of martlet}"
# shellcheck source=bench/faults.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/faults.sh"
mkdir "$work/state"
mount -t tmpfs -o size=4m tmpfs "$work/state"
trap 'end "${started[@]}"; umount -l "$work/state"; rm -rf "$work" ${tiny:+"$tiny"}' EXIT
start_broker
write_configuration events 5
LINES_SHOWN=20 count disk
