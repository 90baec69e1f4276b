#!/bin/bash
# Runs swift from the SDK's chroot on the checkout around the current folder,
# which has the same path inside. Needs root; files end up with the checkout's owner.
#
#   boards/sdk/swift.sh build -c release --static-swift-stdlib --swift-sdk martlet-aarch64
#   boards/sdk/swift.sh build --build-tests --swift-sdk martlet-aarch64
#
# Results: .build/sdk/aarch64-unknown-linux-gnu/{release,debug}; another place
# with SWIFTPM_BUILD_DIR. Builds the SDK first if there is none.
set -euo pipefail

here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
export MARTLET_SDK_CACHE=${MARTLET_SDK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/martlet/sdk}
root=$MARTLET_SDK_CACHE/host
sysroot=/sdk/martlet-aarch64.artifactbundle/aarch64-unknown-linux-gnu/sysroot
libraries=$sysroot/usr/lib/aarch64-linux-gnu

[[ $EUID == 0 ]] || { echo "sdk: error: needs root (a chroot is entered)" >&2; exit 1; }
[[ -e $MARTLET_SDK_CACHE/target.stamp ]] || "$here/build.sh"

# The checkout: the nearest folder upwards with a Package.swift.
checkout=$PWD
while [[ ! -e $checkout/Package.swift && $checkout != / ]]; do checkout=$(dirname "$checkout"); done
[[ $checkout != / ]] || { echo "sdk: error: no Package.swift here or above" >&2; exit 66; }

# Package sources that git takes from this machine (url.<folder>.insteadOf):
# the same rewriting inside, and the folders, read-only. A work tree's git
# folder comes along likewise.
gitconfig=$(mktemp)
trap 'rm -f "$gitconfig"' EXIT
git config --file "$gitconfig" safe.directory '*'
folders=()
while IFS= read -r -d '' entry; do
    key=${entry%%$'\n'*} value=${entry#*$'\n'}
    git config --file "$gitconfig" --add "$key" "$value"
    folder=${key#url.}; folder=${folder%.insteadof}; folder=${folder#file://}
    [[ $folder == /* && -d $folder ]] && folders+=("$(realpath -s "$folder")")
done < <(git config --null --get-regexp '^url\..*\.insteadof$' || true)
if common=$(git -C "$checkout" rev-parse --path-format=absolute --git-common-dir 2>/dev/null); then
    [[ $common == "$checkout"/* ]] || folders+=("$common")
fi
mapfile -t folders < <(((${#folders[@]})) && printf '%s\n' "${folders[@]}" | sort -u)

# Everything is mounted in a namespace of its own and goes with it.
status=0
home=/home/$(stat -c %u "$checkout")
unshare --mount --propagation private bash -euc '
    root=$1 checkout=$2 home=$3 gitconfig=$4 count=$5; shift 5
    mount --rbind /proc "$root/proc"
    mount --rbind /dev  "$root/dev"
    mount -t tmpfs tmpfs "$root/tmp"; chmod 1777 "$root/tmp"
    sdks=$root$home/.swiftpm/swift-sdks
    mkdir -p "$sdks"
    chown --reference="$checkout" "$root$home" "$root$home/.swiftpm"
    mount --bind "$root/sdk" "$sdks"
    touch "$root/etc/gitconfig" "$root/etc/resolv.conf"
    chmod 644 "$gitconfig"
    mount --bind "$gitconfig" "$root/etc/gitconfig"
    mount --bind "$(readlink -f /etc/resolv.conf)" "$root/etc/resolv.conf"
    while [ "$count" -gt 0 ]; do
        mkdir -p "$root$1"; mount --bind "$1" "$root$1"; mount -o remount,bind,ro "$root$1"
        shift; count=$((count - 1))
    done
    mkdir -p "$root$checkout"; mount --bind "$checkout" "$root$checkout"
    exec chroot --userspec="$(stat -c %u:%g "$checkout")" "$root" /usr/bin/env "$@"
' swift.sh "$root" "$checkout" "$home" "$gitconfig" "${#folders[@]}" "${folders[@]}" \
    -i --chdir="$PWD" HOME="$home" CFFIXED_USER_HOME="$home" PATH=/usr/bin:/bin LC_ALL=C.UTF-8 TERM="${TERM:-dumb}" \
    ${https_proxy:+https_proxy="$https_proxy"} ${SOURCE_DATE_EPOCH:+SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH"} \
    SWIFTPM_BUILD_DIR="${SWIFTPM_BUILD_DIR:-$checkout/.build/sdk}" \
    PKG_CONFIG_PATH="$libraries/pkgconfig:$sysroot/usr/share/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$sysroot" \
    swift "$@" || status=$?
exit "$status"
