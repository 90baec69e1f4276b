#!/bin/bash
# The power is cut at every sync of the spool's life, with four ways of losing what was not synced yet: no accepted event
# is lost, and SQLite's integrity_check passes. The short form, some of these syncs, is among the tests.
#
#   bench/power-cut.sh
#
# Settings: those of `swift test`, as arguments.
set -euo pipefail
cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.."
MARTLET_TEST_EVERY_SYNC=1 swift test --filter aCutOfPowerLosesNoAcceptedEvent "$@" | grep -E '^spool:|✘|✔ Test run'
