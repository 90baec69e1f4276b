#!/bin/bash
# martlet and llama.cpp's server with a paho bridge, in turn on the same machine
# and the same events: events/s, memory, and the median of the rounds' ratios.
#
#   LLAMA_SERVER=…/llama-server MARTLET=…/martlet MODEL=….gguf bench/compare.sh
#
# Settings by environment, with their defaults:
#   ROUNDS=5 COUNT=200 THREADS=2 CONTEXT=2048 QOS=0 IN_FLIGHT=0
#   EVENTS=<events.txt beside this script>
#   LABELS=routine,unusual,emergency,maintenance,unknown
#   PARALLEL=1        requests the bridge has at llama-server at a time (its slots too)
#   SIDES="peer martlet"
#   PYTHON=python3    with paho-mqtt >= 2
# One JSON line per measurement on stdout, a summary line last.
set -euo pipefail

rounds=${ROUNDS:-5} count=${COUNT:-200} qos=${QOS:-0} in_flight=${IN_FLIGHT:-0} parallel=${PARALLEL:-1}
read -ra sides <<<"${SIDES:-peer martlet}"
for side in "${sides[@]}"; do
    case $side in
        peer)    : "${LLAMA_SERVER:?path of llama-server}" ;;
        martlet) : "${MARTLET:?path of martlet}" ;;
        *)       echo "compare: no such side: $side" >&2; exit 64 ;;
    esac
done

# shellcheck source=bench/common.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/common.sh"
start_broker

# Waits until the machine has been idle for a second, at most a minute: others'
# work would hit the sides unequally.
quiet() {
    local before after _
    for _ in {1..60}; do
        before=$(awk '/^cpu / { print $5 + $6, $2 + $3 + $4 + $5 + $6 + $7 + $8 }' /proc/stat)
        sleep 1
        after=$(awk '/^cpu / { print $5 + $6, $2 + $3 + $4 + $5 + $6 + $7 + $8 }' /proc/stat)
        awk -v a="$before" -v b="$after" 'BEGIN { split(a, x); split(b, y); exit !(y[1] - x[1] > 0.9 * (y[2] - x[2])) }' && return 0
    done
    echo "compare: the machine is busy with other work; the figures will show it" >&2
}

sending=(--count "$count" --qos "$qos" --in-flight "$in_flight")

peer() {
    local port server bridge report
    port=$(free_port)
    "$LLAMA_SERVER" -m "$MODEL" -c $((context * parallel)) -np "$parallel" -t "$threads" \
        --host 127.0.0.1 --port "$port" >"$work/llama-server.log" 2>&1 &
    server=$!; started+=("$server")
    until "$python" -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1])' \
        "http://127.0.0.1:$port/health" 2>/dev/null; do
        kill -0 "$server" 2>/dev/null || { tail -3 "$work/llama-server.log" >&2; return 1; }
        sleep 0.2
    done
    "$python" "$here/peer_bridge.py" --broker "$broker" --server "127.0.0.1:$port" --qos "$qos" \
        --subscribe bench/peer/event --publish bench/peer/result \
        --labels "$labels" --parallel "$parallel" >"$work/bridge.log" 2>&1 &
    bridge=$!; started+=("$bridge")
    report=$(measure bench/peer/event bench/peer/result "${sending[@]}" --pid "$server") || { tail -3 "$work"/{llama-server,bridge}.log >&2; return 1; }
    end "$bridge" "$server"
    printf '%s\n' "$report"
}

martlet() {
    local daemon report
    start_martlet
    report=$(measure bench/martlet/event martlet/bench/task/events/result "${sending[@]}" --pid "$daemon") || { tail -5 "$work/martlet.log" >&2; return 1; }
    end "$daemon"
    rm -rf "$work/state"
    printf '%s\n' "$report"
}

for ((round = 1; round <= rounds; round++)); do
    for side in "${sides[@]}"; do
        quiet
        "$side" >"$work/report" || { echo "compare: $side failed in round $round" >&2; exit 1; }
        "$python" -c 'import json, sys
print(json.dumps({"round": int(sys.argv[1]), "side": sys.argv[2], **json.load(sys.stdin)}))' \
            "$round" "$side" <"$work/report" | tee -a "$work/all"
    done
done

"$python" - "$work/all" <<'END'
import json, statistics, sys
rounds = {}
for line in open(sys.argv[1], encoding="utf-8"):
    report = json.loads(line)
    rounds.setdefault(report["round"], {})[report["side"]] = report
summary = {}
for side in ("peer", "martlet"):
    reports = [round[side] for round in rounds.values() if side in round]
    for key in ("events_per_second", "latency_p50_ms", "anonymous_mb", "file_mb"):
        values = [report[key] for report in reports if key in report]
        if values:
            summary.setdefault(side, {})[key] = round(statistics.median(values), 2)
ratios = [both["martlet"]["events_per_second"] / both["peer"]["events_per_second"]
          for both in rounds.values() if len(both) == 2]
if ratios:
    summary["ratio"] = round(statistics.median(ratios), 2)
    summary["ratios"] = [round(ratio, 2) for ratio in ratios]
print(json.dumps({"summary": summary}))
END
