#!/bin/bash
# Memory of `martlet run` over thousands of events: anonymous resident MiB after 200 events and after 5,000 more.
#
#   MARTLET=…/martlet MODEL=….gguf bench/soak.sh
#
# Settings by environment, with their defaults (and those of common.sh):
#   FIRST=200 STEP=1000 STEPS=5
#   IN_FLIGHT=4       unanswered events at most, so that no queue backs up
#   QOS=1             each event and result passes through the spool
#   MOST_GROWTH=1 MOST=24   MiB
# One JSON line per point on stdout, a summary line last. Exit status 1 when memory grew or is more than it may be.
set -euo pipefail

first=${FIRST:-200} step=${STEP:-1000} steps=${STEPS:-5}
: "${MARTLET:?path of martlet}"
# shellcheck source=bench/common.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/common.sh"
start_broker
start_martlet

# send COUNT: the question whether anybody answers is an event too.
send() {
    measure bench/martlet/event martlet/bench/task/events/result --count $(($1 - 1)) --warm-up 0 --timeout 3600 \
        --qos "${QOS:-1}" --in-flight "${IN_FLIGHT:-4}" --pid "$daemon" \
        || { tail -5 "$work/martlet.log" >&2; return 1; }
}

total=0
for count in "$first" $(for ((i = 0; i < steps; i++)); do echo "$step"; done); do
    total=$((total + count))
    send "$count" >"$work/report" || { echo "soak: failed before event $total" >&2; exit 1; }
    "$python" -c 'import json, sys
report = json.load(sys.stdin)
print(json.dumps({"after_events": int(sys.argv[1]), **{key: report[key] for key in
    ("anonymous_mb", "file_mb", "events_per_second", "errors")}}), flush=True)' "$total" <"$work/report" | tee -a "$work/all"
done

"$python" - "$work/all" "${MOST_GROWTH:-1}" "${MOST:-24}" <<'END'
import json, sys
points = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
anonymous = [point["anonymous_mb"] for point in points]
growth, peak = round(anonymous[-1] - anonymous[0], 2), max(anonymous)
fits = abs(growth) <= float(sys.argv[2]) and peak <= float(sys.argv[3])
print(json.dumps({"summary": {"events": points[-1]["after_events"], "growth_mb": growth, "most_mb": peak, "fits": fits}}))
sys.exit(not fits)
END
