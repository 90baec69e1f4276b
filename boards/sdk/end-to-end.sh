#!/bin/bash
# Runs the cross-built daemon itself under qemu-user against a mosquitto of its own: start, events, results, stop.
#
#   boards/sdk/end-to-end.sh [CPU…]
#
# CPU: one of those below, all by default. Needs the binary of `make aarch64`.
# Settings by environment: MODEL (the default model), MARTLET (that binary), PATIENCE=120 (seconds for each check).
# One line a check. Exit status: 0 if all held on every CPU, else 1 at the first that does not.
set -euo pipefail

sdk=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
export MODEL=${MODEL:-$("$sdk/../../scripts/fetch-model")}
# shellcheck source=bench/common.sh
source "$sdk/../../bench/common.sh"

# The kernel tier that the daemon must choose on each CPU.
declare -A tiers=([cortex-a53]=neon [cortex-a72]=neon [cortex-a76]=dotprod [max]=i8mm)
cpus=("$@")
((${#cpus[@]})) || cpus=(cortex-a53 cortex-a72 cortex-a76 max)
binary=${MARTLET:-$sdk/../../.build/sdk/aarch64-unknown-linux-gnu/release/martlet}
[[ -x $binary ]] || { echo "end-to-end: error: no $binary. Run make aarch64 first" >&2; exit 66; }
readonly tiers cpus binary patience=${PATIENCE:-120}

say() { printf 'end-to-end: %s: %s\n' "$cpu" "$*"; }
fail() {
    say "FAILED: $*" >&2
    local file
    for file in log heard; do
        [[ ! -f $work/$cpu.$file ]] || tail -20 "$work/$cpu.$file" | sed "s/^/    $file: /" >&2
    done
    exit 1
}

# expect WHAT TOPIC PATTERN… : waits for a message on TOPIC (below the device's) that matches each extended regular
# expression. Also fails when the daemon ends.
expect() {
    local what=$1 topic=$2 until=$((SECONDS + patience)) found pattern
    shift 2
    while :; do
        # What has been heard up to now is judged after the look at the daemon, so that its last words still count.
        local alive=true
        kill -0 "$daemon" 2>/dev/null || alive=false
        found=$(sed -n "s|^martlet/$cpu/$topic ||p" "$work/$cpu.heard")
        for pattern in "$@"; do found=$(grep -E -- "$pattern" <<<"$found" || true); done
        [[ -z $found ]] || break
        $alive || fail "$what: the daemon has ended"
        ((SECONDS < until)) || fail "$what: nothing on $topic within $patience s"
        sleep 0.2
    done
    say "$what"
}

# expect_retained WHAT TOPIC PATTERN : the same of what the broker keeps for those who come later.
expect_retained() {
    local kept
    kept=$(mosquitto_sub "${at[@]}" --retained-only -C 1 -W 5 -t "martlet/$cpu/$2") || fail "$1: nothing retained on $2"
    [[ $kept =~ $3 ]] || fail "$1: $2 has $kept"
    say "$1"
}

publish() { mosquitto_pub "${at[@]}" -q 1 -t "$1" -m "$2"; }

# A prompt of a few words, because each token costs a tenth of a second and more here.
configure() {
    cat >"$work/$cpu.toml" <<-END
	[device]
	id = "$cpu"
	[broker]
	url = "mqtt://$broker"
	[[model]]
	path = "$MODEL"
	context = 128
	threads = 2
	[[task]]
	name = "door"
	kind = "classify"
	subscribe = ["home/$cpu/+"]
	labels = ["good", "bad"]
	prompt = "Good or bad? {{text}}"
	[health]
	interval = "5s"
	END
}

run() {
    local ear status=0 began=$SECONDS
    configure
    : >"$work/$cpu.heard"
    mosquitto_sub "${at[@]}" -q 1 -t "martlet/$cpu/#" -F '%t %p' >"$work/$cpu.heard" &
    ear=$!; started+=("$ear")
    mkdir "$work/$cpu.state"
    # A cache without the packed models of this machine: the first CPU packs the model in the background, the others find
    # it packed.
    STATE_DIRECTORY=$work/$cpu.state MARTLET_CACHE=$work/boards \
        "$sdk/qemu.sh" "$cpu" "$binary" run --config "$work/$cpu.toml" >"$work/$cpu.log" 2>&1 &
    daemon=$!; started+=("$daemon")

    expect "comes online" status '^online$'
    expect_retained "status is retained" status '^online$'
    expect "info names the tier $tier and the model" info "\"tier\":\"$tier\"" \
        '"models":\[\{"name":"smollm2' '"labels":\["good","bad"\]'
    expect "health tells memory and a connection" health '"process_rss_mb":[1-9]' '"connected":true' '"threads":2'

    publish "home/$cpu/front" "burglar alarm"
    publish "home/$cpu/back" "all is well"
    local door
    for door in front back; do
        expect "the event of the $door door has its result" task/door/result "\"topic\":\"home/$cpu/$door\"" \
            '"label":"(good|bad)"' '"scores":\{"good":[0-9.e-]+,"bad":[0-9.e-]+\}' '"confidence":[01]' \
            '"id":"[0-9A-Z]{26}"'
    done
    expect "health tells their latency" health '"received":2' '"latency_ms":\{'
    expect_retained "the state is a label" task/door/state '^(good|bad)$'
    publish "martlet/$cpu/request/ping" '{"transaction":7}'
    expect "answers a ping" response/ping '"status":"ok"' '"transaction":7'

    kill -TERM "$daemon"
    wait "$daemon" || status=$?
    ((status == 0)) || fail "SIGTERM: exit status $status"
    say "SIGTERM ends it with status 0"
    expect_retained "is offline" status '^offline$'
    end "$ear"
    local results
    results=$(grep -c "^martlet/$cpu/task/door/result " "$work/$cpu.heard" || true)
    ((results == 2)) || fail "2 events have $results results"
    say "each event has one result"
    "$python" -c 'import json, sys
for line in sys.stdin:
    payload = line.split(" ", 1)[1]
    if payload.startswith("{"): json.loads(payload)' <"$work/$cpu.heard" || fail "a payload is not JSON"
    say "every payload is JSON; took $((SECONDS - began)) s"
}

cpu=broker
start_broker
at=(-h "${broker%:*}" -p "${broker##*:}")
for _ in {1..50}; do publish end-to-end ready 2>/dev/null && break; sleep 0.1; done
publish end-to-end ready || fail "mosquitto does not start: $(tail -1 "$work/mosquitto.log")"
for cpu in "${cpus[@]}"; do
    tier=${tiers[$cpu]-} && [[ $tier ]] || fail "no such CPU here; there are ${!tiers[*]}"
    run
done
echo "end-to-end: passed on ${#cpus[@]} CPUs"
