#!/bin/bash
# Builds the aarch64 cross SDK: a Debian sid chroot with swiftlang, an arm64
# sysroot from Debian stable, and a Swift SDK bundle that joins the two.
# Everything is cached; a run with nothing to do takes a moment.
#
#   boards/sdk/build.sh          build what is missing
#   boards/sdk/build.sh --force  start again
#
# Cache: ${MARTLET_SDK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/martlet/sdk}
# Mirror: MARTLET_DEBIAN_MIRROR, else debootstrap's own.
# Needs root on a Debian amd64 machine (bookworm or later).
set -euo pipefail

readonly suite_host=sid suite_target=trixie swift_series=6.2
readonly triple=aarch64-unknown-linux-gnu multiarch=aarch64-linux-gnu

readonly host_packages=(swiftlang g++ pkg-config git ca-certificates)
readonly target_packages=(
    libc6 libc6-dev linux-libc-dev libcrypt1 libcrypt-dev
    libgcc-14-dev libgcc-s1 libstdc++-14-dev libstdc++6
    libmosquitto1 libmosquitto-dev libssl3t64 libcares2 libcjson1
    libsqlite3-0 libsqlite3-dev libtomlplusplus-dev
    zlib1g libzstd1)

cache=${MARTLET_SDK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/martlet/sdk}
root=$cache/host                                   # the chroot
sdk_in_root=/sdk/martlet-aarch64.artifactbundle    # the bundle, seen from inside
sdk=$root$sdk_in_root
sysroot=$sdk/$triple/sysroot
sysroot_in_root=$sdk_in_root/$triple/sysroot

say()  { printf 'sdk: %s\n' "$*" >&2; }
die()  { printf 'sdk: error: %s\n' "$*" >&2; exit 1; }
# A stamp changes with the recipe (declare -f) as well as with its lists.
mark() { printf '%s\n' "$*" | sha256sum | cut -d' ' -f1; }

# Runs a command in the chroot, with /proc and /dev in a mount namespace of its
# own: nothing to clean up, whatever happens.
inside() {
    unshare --mount --propagation private bash -euc '
        root=$1; shift
        mount --rbind /proc "$root/proc"
        mount --rbind /dev  "$root/dev"
        touch "$root/etc/resolv.conf"
        mount --bind "$(readlink -f /etc/resolv.conf)" "$root/etc/resolv.conf"
        exec chroot "$root" /usr/bin/env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
            PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"' inside "$root" "$@"
}
apt() { inside apt-get -qq "$@"; }
# Downloads packages into /var/cache/martlet: download "CONFIGURATION" PACKAGE…
download() { inside sh -euc 'cd /var/cache/martlet; [ -z "$1" ] || export APT_CONFIG="$1"; shift; apt-get -qq update; apt-get -qq download "$@"' download "$@"; }

prerequisites() {
    local missing=()
    command -v debootstrap  >/dev/null || missing+=(debootstrap)
    command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
    command -v git          >/dev/null || missing+=(git)
    command -v unshare      >/dev/null || missing+=(util-linux)
    ((${#missing[@]})) || return 0
    say "installing ${missing[*]}"
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "${missing[@]}" >/dev/null
}

build_host() {
    local stamp
    stamp=$(mark "$(declare -f build_host) $suite_host $suite_target ${host_packages[*]}")
    [[ -f $cache/host.stamp && $(<"$cache/host.stamp") == "$stamp" ]] && return 0
    rm -f "$cache"/{host,target}.stamp
    rm -rf --one-file-system "$root"
    say "1/3 Debian $suite_host chroot (a few minutes)"
    debootstrap --variant=minbase --arch=amd64 "$suite_host" "$root" \
        ${MARTLET_DEBIAN_MIRROR:+"$MARTLET_DEBIAN_MIRROR"} >"$cache/debootstrap.log" 2>&1 \
        || { tail -5 "$cache/debootstrap.log" >&2; die "debootstrap failed, see debootstrap.log in the cache folder"; }
    # The target's packages come from the same mirror, another suite: a second,
    # separate apt configuration, so that neither sees the other's packages.
    local mirror
    mirror=$(awk '$1 == "deb" { print $2; exit }' "$root/etc/apt/sources.list")
    printf 'deb %s %s main\n' "$mirror" "$suite_target" >"$root/etc/apt/target.list"
    mkdir -p "$root/var/lib/apt/target"
    cat >"$root/etc/apt/target.conf" <<-END
	APT::Architecture "arm64";
	APT::Architectures "arm64";
	Dir::Etc::sourcelist "/etc/apt/target.list";
	Dir::Etc::sourceparts "-";
	Dir::State::lists "/var/lib/apt/target";
	Dir::State::status "/dev/null";
	Dir::Cache::pkgcache "";
	Dir::Cache::srcpkgcache "";
	END
    cat >"$root/etc/apt/apt.conf.d/90martlet" <<-END
	Acquire::Check-Valid-Until "false";
	APT::Install-Recommends "false";
	APT::Sandbox::User "root";
	Dpkg::Use-Pty "0";
	END
    inside dpkg --add-architecture arm64
    say "    swiftlang and its tools"
    apt update
    apt install "${host_packages[@]}" >"$cache/apt.log" 2>&1 \
        || { tail -5 "$cache/apt.log" >&2; die "apt-get install failed, see apt.log in the cache folder"; }
    printf '%s\n' "$stamp" >"$cache/host.stamp"
}

build_target() {
    local version stamp debs
    version=$(inside dpkg-query -W -f '${Version}' swiftlang)
    [[ $version == "$swift_series".* ]] || say "warning: Debian $suite_host has swiftlang $version, tried with $swift_series"
    stamp=$(mark "$(declare -f build_target) $(<"$cache/host.stamp") $version ${target_packages[*]}")
    [[ -f $cache/target.stamp && $(<"$cache/target.stamp") == "$stamp" ]] && return 0
    rm -f "$cache/target.stamp"
    rm -rf --one-file-system "$root/sdk"
    debs=$root/var/cache/martlet
    mkdir -p "$sysroot/usr/lib" "$debs"

    say "2/3 arm64 sysroot from Debian $suite_target"
    # Files to compile and link against, not packages to configure: no resolver.
    rm -f "$debs"/*.deb
    download /etc/apt/target.conf "${target_packages[@]}"
    for library in lib bin sbin; do mkdir -p "$sysroot/usr/$library"; ln -s "usr/$library" "$sysroot/$library"; done
    local deb
    for deb in "$debs"/*.deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$sysroot"; done
    rm -rf "$sysroot"/usr/share/{doc,man,lintian,locale}

    say "    the Swift runtime of swiftlang $version"
    rm -f "$debs"/*.deb
    download "" "swiftlang:arm64=$version" "libswiftlang:arm64=$version"
    local unpacked=$debs/swift
    rm -rf "$unpacked"; mkdir -p "$unpacked"
    for deb in "$debs"/*.deb; do dpkg-deb -x "$deb" "$unpacked"; done
    mkdir -p "$sysroot/usr/lib/clang"
    cp -a "$unpacked"/usr/libexec/swift/lib/{swift,swift_static} "$sysroot/usr/lib/"
    cp -a "$unpacked"/usr/libexec/swift/lib/clang/[0-9]* "$sysroot/usr/lib/clang/"
    rm -rf "$sysroot"/usr/lib/swift/{host,pm,embedded} "$sysroot"/usr/lib/swift_static/{host,pm,embedded}
    # Debian ships the module of Testing's Foundation overlay without its library:
    # without the overlay's declaration test bundles link.
    [[ -e $sysroot/usr/lib/swift/linux/lib_Testing_Foundation.so ]] \
        || rm -rf "$sysroot/usr/lib/swift/linux/Testing.swiftcrossimport"
    rm -rf "$debs"
    printf '%s\n' "$stamp" >"$cache/target.stamp"
}

build_bundle() {
    local version
    version=$(inside dpkg-query -W -f '${Version}' swiftlang)
    cat >"$sdk/info.json" <<-END
	{ "schemaVersion": "1.0",
	  "artifacts": { "martlet-aarch64": {
	    "type": "swiftSDK", "version": "$version", "variants": [ { "path": "$triple" } ] } } }
	END
    cat >"$sdk/$triple/swift-sdk.json" <<-END
	{ "schemaVersion": "4.0",
	  "targetTriples": { "$triple": {
	    "sdkRootPath": "sysroot",
	    "swiftResourcesPath": "sysroot/usr/lib/swift",
	    "swiftStaticResourcesPath": "sysroot/usr/lib/swift_static",
	    "toolsetPaths": [ "toolset.json" ] } } }
	END
    cat >"$sdk/$triple/toolset.json" <<-END
	{ "schemaVersion": "1.0",
	  "swiftCompiler": { "extraCLIOptions": [
	    "-use-ld=lld",
	    "-Xlinker", "-L$sysroot_in_root/usr/lib/$multiarch",
	    "-Xclang-linker", "--gcc-toolchain=$sysroot_in_root/usr",
	    "-Xcc", "-I$sysroot_in_root/usr/include",
	    "-Xcc", "-I$sysroot_in_root/usr/include/$multiarch" ] } }
	END
    ln -sfn "host$sysroot_in_root" "$cache/sysroot"
}

[[ $EUID == 0 ]] || die "needs root (a chroot is made)"
[[ $(uname -m) == x86_64 ]] || die "for x86-64 machines; an ARM board builds natively"
prerequisites
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
[[ ${1-} == --force ]] && rm -f "$cache"/{host,target}.stamp
build_host
build_target
say "3/3 Swift SDK bundle"
build_bundle
say "ready: boards/sdk/swift.sh build -c release --static-swift-stdlib --swift-sdk martlet-aarch64"
