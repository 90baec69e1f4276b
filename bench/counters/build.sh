#!/bin/bash
# Compiles one of the counters of this folder for this machine, once, and prints the library's path.
#
#   bench/counters/build.sh instructions | allocations
#
# Exit status 69: this machine has no compiler, or no qemu-aarch64 that takes the first of them as a plug-in.
set -euo pipefail
here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
name=${1-}
source=$here/$name.c library=$here/../../.build/counters/$name.so
[[ -n $name && -f $source ]] || { sed -n '2,4s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 64; }
if [[ $name == instructions ]] && [[ $("${QEMU:-qemu-aarch64}" --help) != *-plugin* ]]; then
    # qemu-user is linked dynamically in Debian 12 and statically, without dlopen, from Debian 13 on.
    echo "counters: error: no qemu-aarch64 that takes plug-ins. Set QEMU to one, for instance Debian 12's" >&2
    exit 69
fi
if [[ ! -e $library || $source -nt $library ]]; then
    # Swift's package brings clang, Debian's build-essential cc.
    compiler=$(command -v "${CC:-cc}" || command -v clang) \
        || { echo "counters: error: no C compiler. Install gcc, or set CC" >&2; exit 69; }
    mkdir -p "${library%/*}"
    # Complete or absent, also for a second script that builds it at the same time. -fno-builtin: a compiler that
    # knows malloc may turn one of the functions into a call of itself.
    "$compiler" -std=gnu11 -O2 -Wall -Wextra -Werror -fPIC -fno-builtin -shared -o "$library.$$" "$source"
    mv "$library.$$" "$library"
fi
readlink -f -- "$library"
