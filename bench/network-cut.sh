#!/bin/bash
# 10,000 QoS 1 events while the network between the daemon's host and the broker's is cut for 10 minutes, and before
# for a few seconds: none may be lost, and no result be published again whose acknowledgement the daemon has.
#
# The daemon's host is a network namespace; its link is taken down with iproute2, so that no side is told. Needs root.
# On the broker's side of the cut a wire (wire.py) writes down which acknowledgements the daemon's host has received:
# those that the cut took with it are why a result may come twice, with the same id.
#
#   MARTLET=…/martlet bench/network-cut.sh
#
# Settings by environment, with their defaults:
#   MODEL=            a GGUF file; none: a tiny one with random weights
#   EVENTS=10000 CUTS=5,40,600   seconds of each cut: below the keep-alive, about it, and above
#   QUIET=0           1: each cut comes when nothing is on its way; then nothing may come twice at all
#   SEED=1
set -euo pipefail
: "${MARTLET:?path of martlet}"
# shellcheck source=bench/faults.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/faults.sh"
space=martlet-$$ near=mb$$ far=md$$
ip netns add "$space"
trap 'end "${started[@]}"; ip netns delete "$space"; rm -rf "$work" ${tiny:+"$tiny"}' EXIT
ip link add "$near" type veth peer name "$far" netns "$space"
# 198.18.0.0/15 is for measurements (RFC 2544); the addresses of documentation may be those of this machine.
net=198.18.$(($$ % 256))
ip address add "$net.1/30" dev "$near"
ip link set "$near" up
ip -n "$space" address add "$net.2/30" dev "$far"
ip -n "$space" link set "$far" up
start_wired_broker "$net.1"
count cut --wire "$wire" --events "${EVENTS:-10000}" --namespace "$space" --link "$far" --cuts "${CUTS:-5,40,600}" --quiet "${QUIET:-0}"
