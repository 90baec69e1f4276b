# What the measurements of delivery share: sourced, not run. common.sh and a configuration for delivery.py.
# Settings: MARTLET, MODEL, SEED=1, and those of common.sh.

if [[ -z ${MODEL-} ]]; then
    tiny=$(mktemp -d)
    python3 "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/tiny_model.py" "$tiny/model.gguf"
    MODEL=$tiny/model.gguf CONTEXT=${CONTEXT:-512}
fi
# shellcheck source=bench/common.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/common.sh"
trap 'end "${started[@]}"; rm -rf "$work" ${tiny:+"$tiny"}' EXIT

# Starts a mosquitto at $broker that keeps its state on disk after every change; $broker_pid is its process.
start_lasting_broker() {
    cat >"$work/mosquitto.conf" <<-END
	listener ${broker##*:} ${broker%:*}
	allow_anonymous true
	persistence true
	persistence_location $work/
	autosave_on_changes true
	autosave_interval 1
	max_queued_messages 0
	set_tcp_nodelay true
	END
    # Not as the user that mosquitto becomes when it is started by root: the folder is ours.
    ((EUID != 0)) || echo "user root" >>"$work/mosquitto.conf"
    mosquitto -c "$work/mosquitto.conf" >"$work/mosquitto.log" 2>&1 &
    broker_pid=$!
    started+=("$broker_pid")
}

# write_configuration TASK PRIORITY [TASK PRIORITY…]: a daemon with these classify tasks on bench/TASK/+; [limits] and
# more come from $more.
write_configuration() {
    begin_configuration
    cat >>"$work/martlet.toml" <<-END
	pack = false
	[health]
	interval = "1s"
	${more-}
	END
    while (($# > 1)); do
        cat >>"$work/martlet.toml" <<-END
		[[task]]
		name = "$1"
		kind = "classify"
		subscribe = ["bench/$1/+"]
		labels = ["${labels//,/\", \"}"]
		priority = $2
		${deadline:+deadline = \"$deadline\"}
		END
        shift 2
    done
}

# start_wired_broker ADDRESS: a lasting broker, and a configuration that leads to it by $wire, which delivery.py opens.
start_wired_broker() {
    broker=$1:$(free_port)
    start_lasting_broker
    wire=$1:$(free_port)
    broker=$wire write_configuration events 5
}

# count WHAT [OPTION…]: delivery.py's report; the daemon's last lines when it is not as it must be.
count() {
    "$python" "$here/delivery.py" "$1" --martlet "$MARTLET" --work "$work" --broker "$broker" --seed "${SEED:-1}" \
        "${@:2}" || { grep -v ' info: ' "$work/martlet.log" | tail -"${LINES_SHOWN:-5}" >&2; return 1; }
}
