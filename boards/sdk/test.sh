#!/bin/bash
# Runs kernel and inference tests, and the daemon end to end, as the CPUs of real boards, under qemu-user.
#
#   boards/sdk/test.sh               every CPU below
#   boards/sdk/test.sh CPU[=FILTER]…
#
# FILTER: a regular expression over test names, as in `swift test --filter`.
# Needs the binary of `make aarch64`. Exit status: 0 if all passed on every CPU. The last line counts CPUs.
set -euo pipefail

here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
cd "$here/../.."

# The arithmetic of an instruction-set tier, and what is built on it. cortex-a53 and cortex-a72 have the same
# instructions (ARMv8.0), as have cortex-a76 and a Pi 5; what differs is which tier the table chooses.
readonly full='^(KernelsTests|InferenceTests)\.' short='^KernelsTests\.'
# What depends on the tier: every architecture's logits, and packed rows. The rest is the same source as on the A72.
readonly logits='^(KernelsTests\.|InferenceTests\.(ArchitectureTests/hasTheTrueLogits|PackedModelTests))'
runs=("$@")
((${#runs[@]})) || runs=("cortex-a53=$short" "cortex-a72=$full" "cortex-a76=$logits" "max=$short")

"$here/swift.sh" build --build-tests --swift-sdk martlet-aarch64
bundle=$(printf '%s\n' .build/sdk/aarch64-unknown-linux-gnu/debug/*PackageTests.xctest)

failed=()
for run in "${runs[@]}"; do
    cpu=${run%%=*} filter=$full
    [[ $run == *=* ]] && filter=${run#*=}
    printf 'test-aarch64: %s, %s\n' "$cpu" "$filter"
    "$here/qemu.sh" "$cpu" "$bundle" --testing-library swift-testing --filter "$filter" || failed+=("$cpu")
done
"$here/end-to-end.sh" "${runs[@]%%=*}" || failed+=("the daemon end to end")
if ((${#failed[@]})); then
    printf 'test-aarch64: failed on %s\n' "${failed[*]}" >&2
    exit 1
fi
printf 'test-aarch64: passed on %d CPUs\n' "${#runs[@]}"
