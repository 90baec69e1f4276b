#!/bin/bash
# What an idle daemon costs: processor time of `martlet run` with a model loaded and a broker connected, no events.
#
#   MARTLET=…/martlet MODEL=….gguf bench/idle.sh
#
# Settings by environment, with their defaults (and those of common.sh):
#   SECONDS_IDLE=30   how long it is watched, after one event and SETTLE=5 seconds
#   MOST=0.5          percent of one core
# One JSON line on stdout. Exit status 1 when it is more than it may be.
set -euo pipefail

idle=${SECONDS_IDLE:-30} settle=${SETTLE:-5} most=${MOST:-0.5}
: "${MARTLET:?path of martlet}"
# shellcheck source=bench/common.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/common.sh"
start_broker
start_martlet
at=(-h "${broker%:*}" -p "${broker##*:}")

# Clock ticks of user and system time of the whole process. The program's name may hold spaces and brackets.
ticks() { sed 's/.*) //' "/proc/$daemon/stat" | awk '{ print $12 + $13 }'; }

# An event, so that what only runs once is over: calibration, the model's pages, the first result. The event is
# retained, because nobody knows when the daemon has subscribed.
for _ in {1..100}; do
    mosquitto_pub "${at[@]}" -r -t bench/martlet/event -m ready 2>/dev/null && break
    sleep 0.1
done
mosquitto_sub "${at[@]}" -C 1 -W 120 -t martlet/bench/task/events/state >/dev/null \
    || { tail -5 "$work/martlet.log" >&2; echo "idle: error: the daemon does not answer" >&2; exit 1; }
# The digest and the packed form of the model are made once, in threads that end.
for _ in {1..600}; do
    grep -qsE '^martlet-(digest|pack)$' "/proc/$daemon"/task/*/comm || break
    sleep 0.2
done
sleep "$settle"

before=$(ticks)
sleep "$idle"
kill -0 "$daemon" || { echo "idle: error: the daemon has ended" >&2; exit 1; }
used=$(($(ticks) - before))
awk -v used="$used" -v hertz="$(getconf CLK_TCK)" -v seconds="$idle" -v most="$most" 'BEGIN {
    percent = used / hertz / seconds * 100
    printf "{\"seconds\":%d,\"core_percent\":%.2f,\"most\":%s,\"fits\":%s}\n",
        seconds, percent, most, percent < most ? "true" : "false"
    exit !(percent < most) }'
