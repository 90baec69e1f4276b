#!/bin/bash
# Guest instructions for a token of prefill and a token of decode, on an ARM core that need not be here: qemu counts.
#
#   bench/instructions.sh CPU MODEL      CPU as in boards/sdk/qemu.sh, for instance cortex-a72
#
# Settings by environment, with their defaults:
#   PROMPT=256 GENERATE=64   tokens
#   MARTLET=.build/sdk/aarch64-unknown-linux-gnu/release/martlet      what `make aarch64` builds
#   FUNCTIONS=      10: also the ten functions that take most of a token of prefill, and of decode
# One JSON line on stdout, the same as text on stderr.
#
# Three runs of one thread (waiting threads spin, and spins would count), each without a warm-up:
#   base     a prompt of 1 token                    start + 1 step
#   prefill  a prompt of PROMPT tokens              start + prefill
#   decode   a prompt of 1 token, GENERATE more     start + 1 step + GENERATE steps
# A prompt of one token and its logits are what a decode step is, so a step is (decode - base) / GENERATE, and a token
# of prefill (prefill - base + step) / PROMPT; what starting and loading cost cancels out. Prefill includes the logits
# of its last token and decode begins with an empty context, as in `llama-bench -p 256 -n 64 -t 1`, which can be
# counted alike (it takes -p 256 -n 0 and -p 0 -n 64 in turn; -r 2 less -r 1 is one run).
set -euo pipefail

here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
(($# == 2)) || { sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 64; }
cpu=$1 model=$2 prompt=${PROMPT:-256} generate=${GENERATE:-64}
martlet=${MARTLET:-$here/../.build/sdk/aarch64-unknown-linux-gnu/release/martlet}
[[ -f $model ]] || { echo "instructions: error: no model $model. scripts/fetch-model prints the default's path" >&2; exit 66; }
[[ -x $martlet ]] || { echo "instructions: error: no binary $martlet. Run make aarch64 first" >&2; exit 66; }
((prompt >= 1 && generate >= 1)) || { echo "instructions: error: PROMPT and GENERATE take a number from 1" >&2; exit 64; }

counter=$("$here/counters/build.sh" instructions)
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

# count PROMPT GENERATE NAME: instructions of a whole run; the run's own report goes to a file, and what each function
# took to NAME.functions.
count() {
    rm -f "$work/count"
    QEMU_FLAGS="-plugin $counter,out=$work/count${FUNCTIONS:+,functions=$work/$3.functions}" "$here/../boards/sdk/qemu.sh" "$cpu" "$martlet" bench \
        --model "$model" --threads 1 --prompt "$1" --generate "$2" --repeat 1 --no-warm-up --json \
        >"$work/report" 2>"$work/log" || true
    # No report: martlet failed. No count: qemu takes no plug-ins, or not this one.
    if [[ ! -s $work/report || ! -s $work/count ]]; then
        tail -3 "$work/log" >&2
        echo "instructions: error: martlet bench under qemu as $cpu gave no count, see above" >&2
        return 1
    fi
    cat "$work/count"
}
base=$(count 1 0 base)
prefill=$(count "$prompt" 0 prefill)
decode=$(count 1 "$generate" decode)
tier=$(sed -nE 's/.*"tier":"([^"]*)".*/\1/p' "$work/report")

awk -v base="$base" -v prefill="$prefill" -v decode="$decode" -v prompt="$prompt" -v generate="$generate" \
    -v cpu="$cpu" -v tier="$tier" 'BEGIN {
    step = (decode - base) / generate
    token = (prefill - base + step) / prompt
    printf "instructions: %s, tier %s: %.2f million a token in prefill of %d, %.2f in decode of %d\n",
        cpu, tier, token / 1e6, prompt, step / 1e6, generate > "/dev/stderr"
    printf "{\"cpu\":\"%s\",\"tier\":\"%s\",\"prompt\":%d,\"generate\":%d,\"prefill_instructions\":%.0f,\"decode_instructions\":%.0f}\n",
        cpu, tier, prompt, generate, token, step }'

# functions NAME TOKENS: what a token takes beyond the base run, the most first.
functions() {
    awk -v tokens="$2" 'NR == FNR { base[$2] += $1; next } { all[$2] += $1 }
        END { for (name in all) printf "%9.3f  %s\n", (all[name] - base[name]) / tokens / 1e6, name }' \
        "$work/base.functions" "$work/$1.functions" | sort -rn | awk -v most="$FUNCTIONS" "NR <= most" \
        | { if command -v swift-demangle >/dev/null; then swift-demangle -compact -simplified | sed 's, (.*,,; s,([^ ]*:.*,,'; else cat; fi; } >&2
}
if [[ -n ${FUNCTIONS-} ]]; then
    echo "instructions: a token of prefill" >&2
    functions prefill $((prompt > 1 ? prompt - 1 : 1))
    echo "instructions: a token of decode" >&2
    functions decode "$generate"
fi
