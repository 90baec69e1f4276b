#!/bin/bash
# What LLVM's model of ARM cores says of a kernel: cycles for its hot loop, all data in the first cache.
#
#   bench/mca.sh SYMBOL [MACS]      e.g. bench/mca.sh neonGemmNibble
#
# SYMBOL: the kernel's function, or any part of its mangled name that no other function has.
# MACS: multiply-accumulates of one iteration; else the loop's integer multiplies are added up. Give it where some of
# them do other work, such as scaling.
# Settings by environment, with their defaults:
#   CPUS="cortex-a53 cortex-a72 cortex-a76"
#   MARTLET=.build/sdk/aarch64-unknown-linux-gnu/release/martlet      what `make aarch64` builds; or any object
#   SHOW=             1 prints the loop
# Needs llvm-objdump and llvm-mca (Debian: llvm), or LLVM=-19 for those with that suffix.
#
# The loop: of those with no other inside, the one with the most multiply-accumulates. The last column is the cycles
# for 32 weights of a row times one token, a block of most formats: cycles x 32 / MACs.
# LLVM has a table of its own for the A53. For the A72 and, in LLVM 14 and 19, the A76 it takes the A57's, which has
# two vector pipes as they have; from 19 at the latest it knows the A76's twin: LLVM=-19 CPUS=neoverse-n1.
set -euo pipefail

here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
(($# == 1 || $# == 2)) || { sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 64; }
martlet=${MARTLET:-$here/../.build/sdk/aarch64-unknown-linux-gnu/release/martlet}
read -ra cpus <<<"${CPUS:-cortex-a53 cortex-a72 cortex-a76}"
objdump=llvm-objdump${LLVM-} mca=llvm-mca${LLVM-} nm=llvm-nm${LLVM-}
for tool in "$objdump" "$mca" "$nm"; do
    command -v "$tool" >/dev/null || { echo "mca: error: no $tool. Install Debian's llvm, or set LLVM to a suffix" >&2; exit 69; }
done
[[ -r $martlet ]] || { echo "mca: error: no binary $martlet. Run make aarch64 first" >&2; exit 66; }

# Names that end in To are C entry points, a jump to the function itself.
mapfile -t found < <("$nm" --print-size --defined-only "$martlet" \
    | awk -v part="$1" '$3 ~ /^[Tt]$/ && index($4, part) && $4 !~ /To$/ { print $1, $2, $4 }')
if ((${#found[@]} != 1)); then
    printf 'mca: error: %d functions of %s have "%s" in their name. Give a part that one has\n' "${#found[@]}" "$martlet" "$1" >&2
    ((${#found[@]} == 0)) || printf '  %s\n' "${found[@]##* }" >&2
    exit 64
fi
read -r start size name <<<"${found[0]}"

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
# By address, because --disassemble-symbols finds no name with a dollar. The loop goes to one file, its MACs to another.
"$objdump" --disassemble --no-show-raw-insn --mattr=+v8.6a,+fullfp16,+i8mm \
    --start-address=$((16#$start)) --stop-address=$((16#$start + 16#$size)) "$martlet" | awk -v macs_file="$work/macs" '
    # Multiply-accumulates of an instruction: lanes of the result, times the products that each lane adds up.
    function macs(text, lanes) {
        if (!match(text, /^(smull2?|smlal2?|smlsl2?|umull2?|umlal2?|mul|mla|mls|sdot|udot|usdot|sudot|smmla|ummla|usmmla)[ \t]+v[0-9]+\.[0-9]+[bhsd]/)) return 0
        lanes = substr(text, RSTART, RLENGTH)
        sub(/.*\./, "", lanes)
        sub(/[bhsd]$/, "", lanes)
        return lanes * (text ~ /^[a-z]*dot/ ? 4 : text ~ /^[a-z]*mmla/ ? 8 : 1)
    }
    /^ *[0-9a-f]+:/ {
        count++
        address = $1; sub(/:$/, "", address); at[address] = count
        text[count] = $0; sub(/^ *[0-9a-f]+:[ \t]*/, "", text[count]); sub(/[ \t]*<.*>$/, "", text[count])
        total[count] = total[count - 1] + macs(text[count])
    }
    END {
        for (i = 1; i <= count; i++) {
            if (text[i] !~ /^(b|b\.[a-z]+|cbn?z|tbn?z)[ \t]/ || !match(text[i], /0x[0-9a-f]+$/)) continue
            first = at[substr(text[i], RSTART + 2)]
            # The real target would be out of reach from the address 0; the model does not follow it anyway.
            text[i] = substr(text[i], 1, RSTART - 1) "hot"
            # Ends come in rising order, so a loop inside this one is known, and the last that begins within is it.
            if (!first || first > i || first <= inner) continue
            inner = first
            if (total[i] - total[first - 1] > most) { most = total[i] - total[first - 1]; from = first; to = i }
        }
        if (!most) exit 1
        print "hot:"
        for (i = from; i <= to; i++) print "\t" text[i]
        print most > macs_file
    }' >"$work/loop.s" || { echo "mca: error: $name has no loop with integer multiplies. Choose another" >&2; exit 65; }
macs=${2:-$(<"$work/macs")}
[[ $macs =~ ^[1-9][0-9]*$ ]] || { echo "mca: error: MACS takes a number from 1" >&2; exit 64; }
[[ -z ${SHOW-} ]] || cat "$work/loop.s"

printf '%s: %d instructions and %d multiply-accumulates an iteration\n' "$name" "$(($(wc -l <"$work/loop.s") - 1))" "$macs"
for cpu in "${cpus[@]}"; do
    # Enough rounds that filling the pipeline does not show.
    "$mca" -mtriple=aarch64 -mcpu="$cpu" -mattr=+dotprod,+fullfp16,+i8mm -iterations=200 \
        -instruction-info=0 -resource-pressure=0 "$work/loop.s" | awk -v cpu="$cpu" -v macs="$macs" '
        /^Iterations:/ { iterations = $2 }
        /^Total Cycles:/ { cycles = $3 / iterations }
        END { printf "%-12s %8.1f cycles an iteration %8.2f a block of 32\n", cpu, cycles, cycles * 32 / macs }'
done
