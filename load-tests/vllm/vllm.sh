#!/usr/bin/env bash
# Real vLLM engines on this machine's CPUs: a prefill pool, a decode pool, and one engine that does both, to compare with.
#
#   vllm.sh setup                 makes environment and model (setup.sh)
#   vllm.sh up [OPTIONS]          starts engines and waits until all of them answer; what runs already is left alone
#   vllm.sh down [NAME...]        stops engines, all by default
#   vllm.sh kill NAME...          ends engines without notice, as a crash does
#   vllm.sh status                what runs, where, with resident memory
#   vllm.sh logs NAME             follows an engine's log
#
# Options of up:
#   --prefill N, --decode N           engines per pool                                    1, 1
#   --prefill-tp N, --decode-tp N     tensor parallelism                                  1, 1
#   --prefill-block N, --decode-block N   tokens per block, a multiple of 32              32, 32
#   --dtype TYPE                      bfloat16 or float32 (where TP differs: see README)  bfloat16
#   --decode-dtype TYPE               the decode engines' where it shall not fit          as --dtype
#   --model FOLDER                    model, or model-window (two groups of blocks)       model
#   --decode-model FOLDER             the same model by another string, such as ./model   as --model
#   --aggregated yes|no               the engine to compare with                          yes
#   --kv-mib N                        memory for blocks, per rank                         64
#   --lease SECONDS                   how long a prefill engine keeps blocks              vLLM's default
#   --port N                          first port                                          28100
#   --limit SECONDS                   how long to wait for readiness                      300
#
# Ports: aggregated PORT; prefill-I PORT+10+I, decode-I PORT+20+I; their side channels 100 higher.
# Environment: VLLM_WORK (see setup.sh), VLLM_RUN (where engines' logs and process ids are: several sets can run, each on ports of
# its own; default: run in VLLM_WORK), VLLM_SHIM=off (let idle engines spin, see calm.c).
# Exit codes: 0 done, 1 an engine did not come up, 2 usage or a missing part.
set -euo pipefail
# shellcheck source=load-tests/vllm/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

run=${VLLM_RUN:-$VLLM_WORK/run}
served_name=tiny

usage() {
    sed -n '2,/^set -euo/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit "$1"
}

# An engine is the process group of the `vllm serve` that was started; a process id alone may have been given to another since.
running() {
    local pid
    pid=$(cat "$run/$1/pid" 2>/dev/null) || return 1
    tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q 'vllm serve'
}

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

answers() { curl -sf -m 2 -o /dev/null "http://127.0.0.1:$1/health"; }

names() {
    local folder
    for folder in "$run"/*/; do
        if [ -e "$folder/pid" ]; then basename "$folder"; fi
    done
}

# start NAME ROLE PORT TP BLOCK DTYPE MODEL, with the options of up in scope
start() {
    local name=$1 role=$2 port=$3 tp=$4 block=$5 dtype=$6 model=$7 side=$(($3 + 100)) folder=$run/$1
    local wanted="role=$role port=$port tp=$tp block=$block dtype=$dtype model=$model kv-mib=$kv_mib lease=$lease"
    if running "$name"; then
        if [ "$(cat "$folder/wanted")" != "$wanted" ]; then
            die "$name runs with other settings ($(cat "$folder/wanted")): vllm.sh down first"
        fi
        say "$name: runs already"
        return
    fi
    port_taken "$port" && die "$name: something else listens on port $port: choose another --port"
    [ "$role" != aggregated ] && port_taken "$side" && die "$name: something else listens on port $side: choose another --port"
    mkdir -p "$folder"
    [ -e "$folder/log" ] && mv "$folder/log" "$folder/log.before"

    local environment=(
        VLLM_TARGET_DEVICE=cpu CUDA_VISIBLE_DEVICES=
        HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1
        # One thread per rank, left to the scheduler: vLLM would else pin each rank to cores of its own.
        OMP_NUM_THREADS=1 VLLM_CPU_OMP_THREADS_BIND=nobind
    )
    if [ "${VLLM_SHIM:-on}" != off ]; then environment+=("LD_PRELOAD=$shim"); fi
    # The model's name is a factor of vLLM's compatibility hash: engines that shall fit get the same relative one.
    local arguments=(
        "$model" --served-model-name "$served_name" --host 127.0.0.1 --port "$port"
        --enforce-eager --max-model-len 2048 --max-num-seqs 32 --dtype "$dtype"
        --kv-cache-memory-bytes "$((kv_mib * 1048576))" --block-size "$block" --tensor-parallel-size "$tp"
    )
    if [ "$role" != aggregated ]; then
        local kv_role=kv_producer extra='{}'
        [ "$role" = decode ] && kv_role=kv_consumer
        [ -n "$lease" ] && extra="{\"kv_lease_duration\":$lease}"
        arguments+=(--kv-transfer-config "{\"kv_connector\":\"NixlConnector\",\"kv_role\":\"$kv_role\",\"kv_buffer_device\":\"cpu\",\"kv_load_failure_policy\":\"fail\",\"kv_connector_extra_config\":$extra}")
        environment+=(VLLM_NIXL_SIDE_CHANNEL_HOST=127.0.0.1 "VLLM_NIXL_SIDE_CHANNEL_PORT=$side")
    fi
    printf '%s\n' "$wanted" >"$folder/wanted"
    echo "$port" >"$folder/port"
    (
        cd "$VLLM_WORK"
        exec setsid env "${environment[@]}" "$venv/bin/python" "$venv/bin/vllm" serve "${arguments[@]}" </dev/null >"$folder/log" 2>&1
    ) &
    echo $! >"$folder/pid"
    say "$name: started on http://127.0.0.1:$port ($wanted)"
}

# Waits for the engines named until $limit seconds after $begun.
await() {
    local waiting=("$@") still name last
    while [ ${#waiting[@]} -gt 0 ]; do
        still=()
        for name in "${waiting[@]}"; do
            if answers "$(cat "$run/$name/port")"; then
                end_ticker
                say "$name: ready after $((SECONDS - begun)) s"
            elif ! running "$name"; then
                end_ticker
                say "$name ended while starting; the end of $run/$name/log:"
                tail -n 15 "$run/$name/log" >&2
                return 1
            else
                still+=("$name")
            fi
        done
        waiting=("${still[@]+"${still[@]}"}")
        [ ${#waiting[@]} -eq 0 ] && break
        if [ $((SECONDS - begun)) -gt "$limit" ]; then
            end_ticker
            say "not ready after $limit s: ${waiting[*]}; logs: $run/NAME/log"
            return 1
        fi
        last=$(tail -n 1 "$run/${waiting[0]}/log" 2>/dev/null | tr -d '\r' | cut -c1-90)
        ticker "$((SECONDS - begun)) s, waiting for ${waiting[*]}: $last"
        sleep 0.5
    done
}

up() {
    local prefill=1 decode=1 prefill_tp=1 decode_tp=1 prefill_block=32 decode_block=32
    local dtype=bfloat16 decode_dtype='' model=model decode_model='' aggregated=yes kv_mib=64 lease='' port=28100 limit=300 begun=$SECONDS
    while [ $# -gt 0 ]; do
        [ $# -ge 2 ] || die "$1: a value is missing"
        case $1 in
            --dtype | --decode-dtype) [[ $2 =~ ^(bfloat16|float16|float32)$ ]] || die "$1: bfloat16, float16 or float32, not $2" ;;
            --model | --decode-model) [ -d "$VLLM_WORK/$2" ] || die "$1: $VLLM_WORK/$2 is missing: run load-tests/vllm/vllm.sh setup" ;;
            --aggregated) [[ $2 =~ ^(yes|no)$ ]] || die "--aggregated: yes or no, not $2" ;;
            *) [[ $2 =~ ^[0-9]+$ ]] || die "$1: a number, not $2" ;;
        esac
        case $1 in
            --prefill) prefill=$2 ;;
            --decode) decode=$2 ;;
            --prefill-tp) prefill_tp=$2 ;;
            --decode-tp) decode_tp=$2 ;;
            --prefill-block) prefill_block=$2 ;;
            --decode-block) decode_block=$2 ;;
            --dtype) dtype=$2 ;;
            --decode-dtype) decode_dtype=$2 ;;
            --model) model=$2 ;;
            --decode-model) decode_model=$2 ;;
            --aggregated) aggregated=$2 ;;
            --kv-mib) kv_mib=$2 ;;
            --lease) lease=$2 ;;
            --port) port=$2 ;;
            --limit) limit=$2 ;;
            *) die "unknown option $1; vllm.sh --help lists them" ;;
        esac
        shift 2
    done
    if [ "$prefill" -gt 10 ] || [ "$decode" -gt 10 ]; then die "at most 10 engines per pool (each has a port of its own)"; fi
    if [ $((prefill_block % 32)) -ne 0 ] || [ $((decode_block % 32)) -ne 0 ]; then
        die "vLLM's CPU attention takes block sizes that are multiples of 32"
    fi
    if [ ! -x "$venv/bin/vllm" ] || [ ! -d "$VLLM_WORK/model" ]; then
        die "nothing is set up in $VLLM_WORK: run load-tests/vllm/vllm.sh setup"
    fi
    if [ "${VLLM_SHIM:-on}" != off ] && [ ! -e "$shim" ]; then die "$shim is missing: run load-tests/vllm/vllm.sh setup"; fi

    local index started=()
    if [ "$aggregated" = yes ]; then
        # The engine to compare with computes as the prefill engine does: tensor parallelism changes sums, and so answers.
        start aggregated aggregated "$port" "$prefill_tp" "$prefill_block" "$dtype" "$model"
        started+=(aggregated)
    fi
    for ((index = 0; index < prefill; index++)); do
        start "prefill-$index" prefill $((port + 10 + index)) "$prefill_tp" "$prefill_block" "$dtype" "$model"
        started+=("prefill-$index")
    done
    for ((index = 0; index < decode; index++)); do
        start "decode-$index" decode $((port + 20 + index)) "$decode_tp" "$decode_block" "${decode_dtype:-$dtype}" "${decode_model:-$model}"
        started+=("decode-$index")
    done
    await "${started[@]}"
}

# TERM to the whole group, KILL to what is left of it 20 s later.
down() {
    local chosen=("$@") name pid tries
    if [ ${#chosen[@]} -eq 0 ]; then
        while IFS= read -r name; do chosen+=("$name"); done < <(names)
    fi
    for name in "${chosen[@]+"${chosen[@]}"}"; do
        if running "$name"; then kill -TERM -- "-$(cat "$run/$name/pid")" 2>/dev/null || true; fi
    done
    for name in "${chosen[@]+"${chosen[@]}"}"; do
        pid=$(cat "$run/$name/pid" 2>/dev/null) || { say "$name: not known" && continue; }
        for ((tries = 0; tries < 100; tries++)); do
            kill -0 -- "-$pid" 2>/dev/null || break
            sleep 0.2
        done
        kill -KILL -- "-$pid" 2>/dev/null || true
        rm -f "$run/$name/pid"
        say "$name: stopped"
    done
}

crash() {
    local name
    for name in "$@"; do
        running "$name" || die "$name does not run"
        kill -KILL -- "-$(cat "$run/$name/pid")"
        rm -f "$run/$name/pid"
        say "$name: killed"
    done
}

status() {
    local name port resident state any=
    while IFS= read -r name; do
        any=yes
        port=$(cat "$run/$name/port")
        state=ended
        running "$name" && state=starting
        answers "$port" && state=ready
        resident=$(ps -o rss= -g "$(cat "$run/$name/pid")" 2>/dev/null | awk '{ sum += $1 } END { print int(sum / 1024) }')
        printf '%-12s %-9s http://127.0.0.1:%s  %s MiB resident  %s\n' "$name" "$state" "$port" "$resident" "$(cat "$run/$name/wanted")"
    done < <(names)
    if [ -z "$any" ]; then say "no engine runs; vllm.sh up starts some"; fi
}

case ${1:-} in
    setup) shift && exec "$here/setup.sh" "$@" ;;
    up) shift && up "$@" ;;
    down) shift && down "$@" ;;
    kill) shift && crash "$@" ;;
    status) status ;;
    logs)
        if [ $# -ne 2 ] || [ ! -e "$run/$2/log" ]; then die "vllm.sh logs NAME, one of: $(names | tr '\n' ' ')"; fi
        exec tail -n 50 -F "$run/$2/log"
        ;;
    -h | --help | help) usage 0 ;;
    *) usage 2 >&2 ;;
esac
