# What the measurements share: sourced, not run. Gives $work, a private broker and a daemon, all gone at exit.
# Settings: MODEL, MARTLET, THREADS=2, CONTEXT=2048, LABELS, EVENTS, PYTHON=python3 with paho-mqtt >= 2.

# No __pycache__ in the tree.
export PYTHONDONTWRITEBYTECODE=1
threads=${THREADS:-2} context=${CONTEXT:-2048} python=${PYTHON:-python3}
labels=${LABELS:-routine,unusual,emergency,maintenance,unknown}
here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
events=${EVENTS:-$here/events.txt}
: "${MODEL:?a GGUF file}"

work=$(mktemp -d)
# A cache of our own, so that states of runs like this one do not push out those of the user's daemon. Packed models that
# are there already are used, as the user's daemon would.
mkdir "$work/cache"
packed=${MARTLET_CACHE:-${XDG_CACHE_HOME:-${HOME-}/.cache}/martlet}/packed
[[ ! -d $packed ]] || ln -s "$(readlink -f -- "$packed")" "$work/cache/packed"
export MARTLET_CACHE=$work/cache
started=()
# Ends what this script started, by process id, and waits for it.
end() {
    local pid
    for pid in "$@"; do kill "$pid" 2>/dev/null || true; done
    for pid in "$@"; do wait "$pid" 2>/dev/null || true; done
}
trap 'end "${started[@]}"; rm -rf "$work"' EXIT

# Below the ports that the kernel gives away: a broker that is restarted must find its own free again.
free_port() {
    "$python" - <<-'END'
	import random, socket
	while True:
	    try:
	        port = random.randrange(10_000, 30_000)
	        socket.socket().bind(("127.0.0.1", port))
	        break
	    except OSError:
	        pass
	print(port)
	END
}

# Starts a mosquitto of our own; $broker is its host:port.
start_broker() {
    broker=127.0.0.1:$(free_port)
    cat >"$work/mosquitto.conf" <<-END
	listener ${broker##*:} 127.0.0.1
	allow_anonymous true
	persistence false
	max_queued_messages 0
	set_tcp_nodelay true
	END
    mosquitto -c "$work/mosquitto.conf" >"$work/mosquitto.log" 2>&1 &
    started+=($!)
}

# The daemon's configuration up to its tasks.
begin_configuration() {
    cat >"$work/martlet.toml" <<-END
	[device]
	id = "bench"
	[broker]
	url = "mqtt://$broker"
	[[model]]
	name = "model"
	path = "$(readlink -f "$MODEL")"
	context = $context
	threads = $threads
	END
}

# Starts `martlet run` with one classify task: bench/martlet/event → martlet/bench/task/events/result.
# $daemon is its process id, $work/martlet.log what it says.
start_martlet() {
    mkdir -p "$work/state"
    begin_configuration
    cat >>"$work/martlet.toml" <<-END
	[[task]]
	name = "events"
	kind = "classify"
	model = "model"
	subscribe = ["bench/martlet/event"]
	labels = ["${labels//,/\", \"}"]
	END
    # The state directory as systemd would name it: no spool from another run.
    STATE_DIRECTORY=$work/state "$MARTLET" run --config "$work/martlet.toml" >"$work/martlet.log" 2>&1 &
    daemon=$!; started+=("$daemon")
}

# measure TOPIC RESULT [OPTION…]: events_per_second.py's report.
measure() {
    "$python" "$here/events_per_second.py" --broker "$broker" --events "$events" --topic "$1" --result "$2" "${@:3}"
}
