#!/bin/bash
# Boots a Debian with a real systemd in namespaces of its own and shows there what the unit promises: the daemon starts
# with its secrets as systemd credentials, speaks mutual TLS to a mosquitto with passwords and access rules, is killed
# by the watchdog when it is stopped and when its engine alone hangs, sets an event aside that kills it, starts itself
# anew where nobody watches, and answers after each restart what it had queued.
#
#   systemd/boot-test.sh        MARTLET=BINARY MODEL=GGUF ROOT=FOLDER as variables; root; takes four minutes
#
# unshare and not systemd-nspawn: that wants a systemd outside too. The root file system is made once in ROOT by
# debootstrap, and each run writes to a layer above it that is forgotten.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
martlet=${MARTLET:-$here/.build/release/martlet}
root=${ROOT:-/var/tmp/martlet-boot}
events=${EVENTS:-200}
die() { printf 'boot-test: error: %s\n' "$*" >&2; exit 1; }
shown() { printf 'ok  %s\n' "$*"; }

((EUID == 0)) || die "it mounts and makes namespaces. Run it as root"
[[ -x $martlet ]] || die "$martlet is not there. Run make build, or set MARTLET"
"$here/scripts/packages" debootstrap openssl python3 util-linux
model=${MODEL:-$("$here/scripts/fetch-model")}
# The libraries of the binary are this system's.
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
if [[ ! -e $root/base/made ]]; then
    rm -rf "$root"; mkdir -p "$root"
    debootstrap --variant=minbase \
        --include=systemd,systemd-sysv,dbus,libmosquitto1,libsqlite3-0,libstdc++6,mosquitto,mosquitto-clients,sqlite3 \
        "$release" "$root/base" >"$root/debootstrap.log" 2>&1 || die "debootstrap failed: see $root/debootstrap.log"
    touch "$root/base/made"
fi

work=$(mktemp -d) init=''
cleanup() {
    # Everything inside goes with its first process.
    [[ -z $init || ! -e /proc/$init ]] || kill -KILL "$init" 2>/dev/null || true
    wait 2>/dev/null || true
    # The kernel takes a moment to let go of the last of them.
    for _ in 1 2 3 4 5; do
        [[ -d ${group:-} ]] || break
        find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || sleep 0.5
    done
    rm -rf "$work"
}
trap cleanup EXIT

# --- what is installed: as systemd/README.md says, in a layer above the base
layer=$work/layer
install -D -m 755 "$martlet" "$layer/usr/bin/martlet"
install -D -m 644 "$here/systemd/martlet.service" "$layer/etc/systemd/system/martlet.service"
install -D -m 644 "$here/systemd/martlet.service.d/x86-64.conf" "$layer/etc/systemd/system/martlet.service.d/memory.conf"
install -D -m 644 "$here/systemd/martlet.sysusers" "$layer/usr/lib/sysusers.d/martlet.conf"
# Three minutes of watchdog are for boards; the way is the same.
printf '[Service]\nWatchdogSec=10s\nTimeoutAbortSec=5s\n' >"$layer/etc/systemd/system/martlet.service.d/test.conf"
mkdir -p "$layer/etc/systemd/system/multi-user.target.wants" "$layer/var/lib/martlet/models"
ln -s ../martlet.service "$layer/etc/systemd/system/multi-user.target.wants/"
cp "$model" "$layer/var/lib/martlet/models/model.gguf"
cat >"$work/martlet.toml" <<TOML
[device]
id = "boot"
[broker]
url = "mqtts://localhost:8883"
username = "martlet"
password_file = "/run/credentials/martlet.service/mqtt-password"
ca_file = "/run/credentials/martlet.service/mqtt-ca"
cert_file = "/run/credentials/martlet.service/mqtt-cert"
key_file = "/run/credentials/martlet.service/mqtt-key"
[[model]]
name = "model"
path = "/var/lib/martlet/models/model.gguf"
context = 512
pack = false
[[task]]
name = "home"
kind = "classify"
subscribe = ["home/#"]
labels = ["routine", "unusual", "emergency"]
[health]
interval = "5s"
TOML
install -D -m 644 "$work/martlet.toml" "$layer/etc/martlet/martlet.toml"
printf '127.0.0.1 localhost\n' >"$layer/etc/hosts"

# --- certificates, passwords, access rules
tls=$layer/etc/mosquitto/tls
mkdir -p "$tls" "$layer/etc/credstore" "$layer/etc/mosquitto/conf.d"
curve=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
openssl req -x509 -days 2 -subj '/CN=boot-test authority' "${curve[@]}" -keyout "$work/ca.key" -out "$tls/ca.pem" 2>/dev/null
for name in server client; do
    openssl req -new -subj "/CN=$name" "${curve[@]}" -keyout "$tls/$name.key" -out "$work/$name.csr" 2>/dev/null
    openssl x509 -req -days 2 -in "$work/$name.csr" -CA "$tls/ca.pem" -CAkey "$work/ca.key" -CAcreateserial \
        -extfile <(echo 'subjectAltName=DNS:localhost') -out "$tls/$name.pem" 2>/dev/null
done
chmod 755 "$tls"; chmod 644 "$tls"/*
password=$(openssl rand -hex 16)
printf '%s' "$password" >"$layer/etc/credstore/martlet.mqtt-password"
cp "$tls/ca.pem" "$layer/etc/credstore/martlet.mqtt-ca"
cp "$tls/client.pem" "$layer/etc/credstore/martlet.mqtt-cert"
cp "$tls/client.key" "$layer/etc/credstore/martlet.mqtt-key"
chmod 700 "$layer/etc/credstore"; chmod 600 "$layer/etc/credstore"/*
mosquitto_passwd -b -c "$layer/etc/mosquitto/passwords" martlet "$password" 2>/dev/null
mosquitto_passwd -b "$layer/etc/mosquitto/passwords" observer observer 2>/dev/null
chmod 644 "$layer/etc/mosquitto/passwords"
cat >"$layer/etc/mosquitto/rules" <<'ACL'
user martlet
topic read home/#
topic readwrite martlet/boot/#
topic write homeassistant/#
user observer
topic readwrite #
ACL
cat >"$layer/etc/mosquitto/conf.d/boot.conf" <<'CONF'
listener 8883
cafile /etc/mosquitto/tls/ca.pem
certfile /etc/mosquitto/tls/server.pem
keyfile /etc/mosquitto/tls/server.key
require_certificate true
allow_anonymous false
password_file /etc/mosquitto/passwords
acl_file /etc/mosquitto/rules
max_queued_messages 100000
CONF

# --- boot
cat >"$work/boot" <<'BOOT'
set -eu
mount --make-rprivate /
mkdir -p "$1/top" && mount -t tmpfs -o mode=755,size=2g tmpfs "$1/top"
mkdir "$1/top/work" "$1/top/root"
cp -a "$1/layer" "$1/top/layer"
mount -t overlay -o "lowerdir=$2,upperdir=$1/top/layer,workdir=$1/top/work" overlay "$1/top/root"
cd "$1/top/root"
mount -t proc proc proc
# What is not in a namespace of its own stays as it is: settings of the kernel, devices.
mount --bind proc/sys proc/sys && mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mkdir dev/shm dev/pts && mount -t tmpfs tmpfs dev/shm && mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
chroot . systemd-sysusers 2>/dev/null
chroot . chown -R martlet:martlet /var/lib/martlet
mkdir -p run/host old && pivot_root . old && cd / && umount -l /old
# As outside a container: credentials are mounted for the services from a namespace beside theirs.
mount --make-rshared /
exec env -i container=boot-test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
BOOT
# A group of its own in the unified hierarchy: it becomes the root that systemd sees.
groups=$(findmnt -n -t cgroup2 -o TARGET | head -1)
[[ -n $groups ]] || die "this kernel has no cgroup2 mounted"
group=$groups/martlet-boot-$$
mkdir "$group"
( echo "$BASHPID" >"$group/cgroup.procs"
  exec unshare --mount --pid --fork --kill-child --uts --ipc --cgroup --net bash "$work/boot" "$work" "$root/base"
) >"$work/console" 2>&1 </dev/null &
outer=$!

inside() { nsenter -t "$init" -a -- "$@"; }
# wait_for SECONDS WHAT COMMAND…
wait_for() {
    local limit=$((SECONDS + $1)) what=$2; shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < limit)) || { dump; die "$what did not happen"; }
        sleep 0.5
    done
}
dump() {
    cat "$work/console" >&2
    [[ -z $init ]] || inside journalctl --no-pager -u martlet -u mosquitto -n 60 >&2 || true
}
find_init() { init=$(pgrep -P "$outer" 2>/dev/null | head -1) && [[ -n $init && $(cat "/proc/$init/comm") == systemd ]]; }
wait_for 60 "the start of systemd" find_init
is_active() { [[ $(inside systemctl is-active "$1") == active ]]; }
wait_for 60 "mosquitto's start" is_active mosquitto
wait_for 120 "the daemon's start" is_active martlet
shown "active under $(inside systemctl --version | head -1), kernel $(uname -r)"

client=(-h localhost -p 8883 --cafile /etc/mosquitto/tls/ca.pem --cert /etc/mosquitto/tls/client.pem
    --key /etc/mosquitto/tls/client.key -u observer -P observer)
is_online() { [[ $(inside mosquitto_sub "${client[@]}" -t martlet/boot/status -C 1 -W 5) == online ]]; }
wait_for 60 "the connection" is_online
shown "connected over mutual TLS with credentials: $(inside ls /run/credentials/martlet.service | xargs)"

pid() { inside systemctl show -p MainPID --value martlet; }
# Its number outside the namespace, to look at it and to hold its threads.
outer_pid() { head -1 "$group/system.slice/martlet.service/cgroup.procs"; }
exposure=$(inside systemd-analyze security --no-pager martlet.service | sed -n 's/.*Overall exposure level[^:]*: *\([0-9.]*\).*/\1/p')
awk -v e="$exposure" 'BEGIN { exit !(e != "" && e <= 1.5) }' || die "the running service's exposure is $exposure"
shown "exposure of the running service: $exposure"
seccomp=$(sed -n 's/^Seccomp:\t//p' "/proc/$(outer_pid)/status") caps=$(sed -n 's/^CapEff:\t//p' "/proc/$(outer_pid)/status")
[[ $seccomp == 2 && $caps == 0000000000000000 ]] || die "seccomp $seccomp, capabilities $caps"
shown "seccomp filter on, no capabilities, user $(inside ps -o user= -p "$(pid)")"

# --- another certificate, by a reload
renewed=/proc/$init/root/etc/martlet
cp "$tls/server.pem" "$renewed/new.pem" && cp "$tls/server.key" "$renewed/new.key"
sed -i 's|^cert_file = .*|cert_file = "/etc/martlet/new.pem"|; s|^key_file = .*|key_file = "/etc/martlet/new.key"|' \
    "$renewed/martlet.toml"
inside systemctl reload martlet
reconnected() { inside journalctl --no-pager -u martlet | grep -A5 'with the login and certificates as they are now' | grep -q 'session resumed'; }
wait_for 60 "the connection with another certificate" reconnected
shown "reloaded: connected again with another certificate, in the same session"

# --- events, a daemon that does not move, a restart, answers
inside mosquitto_sub "${client[@]}" -i results -c -q 1 -t martlet/boot/task/home/result >"$work/results" 2>/dev/null &
subscriber=$!
restarts() { inside systemctl show -p NRestarts --value martlet; }
answered() { sed -n 's/.*"topic":"home\/\([a-z]*\/[0-9]*\)".*/\1/p' "$work/results" | sort -u | grep -c "^$1/" || true; }
# publish SERIES: events at QoS 1, each on a topic of its own
publish() {
    local i
    for ((i = 0; i < events; i++)); do
        inside mosquitto_pub "${client[@]}" -q 1 -t "home/$1/$i" -m "sensor $i reports $((i * 7 % 100)) percent"
    done
}
queue() { # the daemon keeps the file to itself while it runs
    inside cp -r /var/lib/martlet/ "/run/copy-$1" && inside sqlite3 "/run/copy-$1/spool.db" 'PRAGMA integrity_check; SELECT count(*) FROM event'
}
hang() { # hang NAME HOW: something holds the daemon while events come; the watchdog must end that
    local name=$1 before sent
    before=$(restarts)
    publish "$name" &
    sent=$!
    some_answered() { (($(answered "$name") > 3)); }
    wait_for 60 "a first answer" some_answered
    "$2" "$name"
    restarted() { (($(restarts) > before)); }
    wait_for 120 "the restart by the watchdog ($name)" restarted
    release
    wait "$sent" 2>/dev/null || true
    all_answered() { (($(answered "$name") == events)); }
    wait_for 180 "the answers to all $events events of $name, $(answered "$name") came," all_answered
    shown "$name: killed by the watchdog and restarted, all $events events answered"
}
keeper=''
release() { [[ -z $keeper ]] || kill "$keeper" 2>/dev/null || true; keeper=''; }
stop_process() { kill -STOP "$(outer_pid)"; }
# Holds the engine's thread alone, as a deadlock would, while all others go on.
stop_engine() {
    local thread name=$1
    thread=$(grep -lx martlet-engine "/proc/$(outer_pid)"/task/*/comm 2>/dev/null | head -1)
    thread=${thread%/comm}
    python3 - "${thread##*/}" <<'PYTHON' &
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
thread = int(sys.argv[1])
assert libc.ptrace(0x4206, thread, 0, 0) == 0, ctypes.get_errno()  # PTRACE_SEIZE
assert libc.ptrace(0x4207, thread, 0, 0) == 0, ctypes.get_errno()  # PTRACE_INTERRUPT
while os.path.exists(f"/proc/{thread}"):
    try: os.waitpid(thread, os.WNOHANG | 0x40000000)  # __WALL
    except ChildProcessError: break
    time.sleep(0.2)
PYTHON
    keeper=$!
    # All events are taken while nothing is computed.
    wait "$sent"
    shown "$name: the engine hangs, and the spool holds $(queue "$name" | tail -1) events"
}
hang stopped stop_process
hang engine stop_engine
inside journalctl --no-pager -u martlet >"$work/journal"
grep -q 'the engine does not move: the watchdog is not pinged' "$work/journal" || { dump; die "the daemon did not see its hung engine"; }
(($(grep -c 'Watchdog timeout' "$work/journal") >= 2)) || { dump; die "the kills were not the watchdog's"; }
shown "journal: $(grep -m1 -o 'Watchdog timeout.*' "$work/journal")"

wait_for 30 "the connection after the restarts" is_online

# --- an event that kills the process: as soon as it is in work the process gets a fatal signal, twice
state=/proc/$init/root/var/lib/martlet
outcome() { grep -o '"topic":"home/deadly".*' "$work/results" | head -1; }
long=$(for ((i = 0; i < 400; i++)); do printf 'sensor %d reports %d percent. ' "$i" $((i * 7 % 100)); done)
python3 - "$state/work" "$group/system.slice/martlet.service/cgroup.procs" "$work/killer" <<'PYTHON' &
import os, signal, sys, time
work, processes, ready = sys.argv[1:]
def in_work():  # the engine's part of the file that tells what is in work
    try:
        with open(work, "rb") as file: return file.seek(65536) and file.read(1) not in (b"", b"\0")
    except FileNotFoundError: return False
def wait(state):
    limit = time.monotonic() + 120
    while in_work() != state:
        assert time.monotonic() < limit, f"in work never became {state}"
        time.sleep(0.0005)
open(ready, "w").close()
for number in (signal.SIGSEGV, signal.SIGABRT):
    wait(False)
    wait(True)
    with open(processes) as file: os.kill(int(file.readline()), number)
PYTHON
killer=$!
# On a busy machine it would else begin to look when the event is over.
wait_for 30 "who kills" test -e "$work/killer"
before=$(restarts)
inside mosquitto_pub "${client[@]}" -q 1 -t home/deadly -m "$long"
wait "$killer" || die "the deadly event was not in work twice: $(outcome)"
died() { (($(restarts) >= before + 2)); }
wait_for 60 "two restarts" died
answered_deadly() { [[ -n $(outcome) ]]; }
wait_for 60 "an answer to the deadly event" answered_deadly
[[ $(outcome) == *'set aside: the process died 2 times'* ]] || die "the deadly event was answered: $(outcome)"
[[ $(ls "$state/quarantine" | wc -l) == 1 ]] || die "the deadly event was not kept"
shown "an event that crashed the process twice is set aside: $(outcome | grep -o '"error":"[^"]*"')"

# --- no watchdog of systemd: the daemon's own
mkdir -p "/proc/$init/root/run/systemd/system/martlet.service.d"
printf '[Service]\nWatchdogSec=0\n' >"/proc/$init/root/run/systemd/system/martlet.service.d/zz.conf"
inside systemctl daemon-reload
inside systemctl restart martlet
wait_for 60 "the start without a watchdog" is_online
process=$(pid) before=$(restarts)
publish own &
sent=$!
own_answered() { (($(answered own) > 3)); }
wait_for 60 "a first answer" own_answered
stop_engine own
started_anew() { inside journalctl --no-pager -u martlet | grep -q 'the daemon starts anew'; }
wait_for 120 "the daemon's own restart" started_anew
all_own() { (($(answered own) == events)); }
wait_for 180 "the answers to all $events events of own, $(answered own) came," all_own
release
[[ $(pid) == "$process" && $(restarts) == "$before" ]] || die "somebody else restarted it"
shown "own: without systemd's watchdog the daemon started itself anew, all $events events answered"
inside systemctl stop martlet
is_offline() { [[ $(inside mosquitto_sub "${client[@]}" -t martlet/boot/status -C 1 -W 5) == offline ]]; }
wait_for 15 "the farewell" is_offline
left=$(queue end | xargs)
[[ $left == "ok 0" ]] || die "the spool at the end: $left"
shown "stopped cleanly; the spool is whole and empty"
inside journalctl --no-pager >"$work/journal"
! grep -qF "$password" "$work/journal" || die "the password is in the journal"
shown "the password is not in the journal ($(wc -l <"$work/journal") lines)"
kill "$subscriber" 2>/dev/null || true
