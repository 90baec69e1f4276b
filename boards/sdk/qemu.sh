#!/bin/bash
# Runs an aarch64 program under qemu-user on the SDK's sysroot.
#
#   boards/sdk/qemu.sh CPU BINARY [ARGUMENTS]
#
# CPU: cortex-a53 (Pi 3, Zero 2 W), cortex-a72 (Pi 4), cortex-a76 (Pi 5, RK3588), max.
# QEMU_FLAGS: further words for qemu, such as a TCG plugin. QEMU: another qemu-aarch64.
set -euo pipefail
(($# >= 2)) || { sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 64; }
sysroot=${MARTLET_SDK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/martlet/sdk}/sysroot
sysroot=$(readlink -e -- "$sysroot") || { echo "sdk: error: no sysroot; run boards/sdk/build.sh" >&2; exit 66; }
cpu=$1; shift
# shellcheck disable=SC2086
exec "${QEMU:-qemu-aarch64}" -cpu "$cpu" -L "$sysroot" -E LD_LIBRARY_PATH=/usr/lib/swift/linux ${QEMU_FLAGS-} "$@"
