#!/bin/sh
# Checks the unit with every board's drop-in: `systemd-analyze verify` must say nothing, and the exposure must not
# exceed 1.5. Works anywhere systemd-analyze is installed; no systemd needs to run and nothing is installed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
limit=1.5
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT INT TERM

# verify wants the program and the user's files to be there: the copy it reads names a program every system has.
for dropin in none "$here"/martlet.service.d/*.conf; do
    rm -rf "$scratch/units"
    mkdir -p "$scratch/units/martlet.service.d"
    sed 's|^ExecStart=/usr/bin/martlet |ExecStart=/bin/true |; /^Documentation=/d' "$here/martlet.service" \
        >"$scratch/units/martlet.service"
    grep -q '^ExecStart=/bin/true ' "$scratch/units/martlet.service" || { echo "check.sh: ExecStart not found" >&2; exit 1; }
    if [ "$dropin" != none ]; then cp "$dropin" "$scratch/units/martlet.service.d/"; fi
    name=$(basename "$dropin" .conf)
    # The trailing colon keeps the system's own units in the search path.
    if ! said=$(SYSTEMD_UNIT_PATH="$scratch/units:" systemd-analyze verify --man=no "$scratch/units/martlet.service" 2>&1); then
        printf 'systemd-analyze verify failed (drop-in: %s):\n%s\n' "$name" "$said" >&2
        exit 1
    fi
    if printf '%s\n' "$said" | grep -q martlet; then
        printf 'systemd-analyze verify complains (drop-in: %s):\n%s\n' "$name" "$said" >&2
        exit 1
    fi
    echo "verify: clean (drop-in: $name)"
done

exposure=$(systemd-analyze security --offline=true --no-pager "$here/martlet.service" 2>/dev/null |
    sed -n 's/.*Overall exposure level[^:]*: *\([0-9.]*\).*/\1/p')
[ -n "$exposure" ] || { echo "check.sh: systemd-analyze security told no exposure" >&2; exit 1; }
echo "exposure: $exposure (limit $limit)"
awk -v exposure="$exposure" -v limit="$limit" 'BEGIN { exit !(exposure <= limit) }' || {
    echo "check.sh: the exposure is above $limit; see: systemd-analyze security --offline=true systemd/martlet.service" >&2
    exit 1
}
