# shellcheck shell=bash
# shellcheck disable=SC2034 # used by those who source this
# What the scripts of this folder share. To be sourced.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# Everything that the scripts make is below this folder: about 7 GB.
VLLM_WORK=${VLLM_WORK:-$here/work}
venv=$VLLM_WORK/venv
shim=$VLLM_WORK/calm.so

say() { printf '%s\n' "$*" >&2; }
die() {
    say "$@"
    exit 2
}

# One line that changes on a terminal, nothing elsewhere: there only milestones are printed.
ticker() { if [ -t 2 ]; then printf '\r\033[K%s' "$*" >&2; fi; }
end_ticker() { if [ -t 2 ]; then printf '\r\033[K' >&2; fi; }
