#!/bin/bash
# A day of simulated traffic by a clock that is set forward: anonymous memory stays flat within 1 MB after its second
# hour. The short form, four hours, is among the tests.
#
#   bench/day.sh
#
# Settings by environment: HOURS=24, and those of `swift test`, as arguments.
set -euo pipefail
cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.."
MARTLET_TEST_HOURS=${HOURS:-24} swift test --filter memoryStaysFlatWhileTheClockGoesOn "$@" | grep -E '^day:|✘|✔ Test run'
