#!/usr/bin/env bash
# Gets NVIDIA's own Python package of NIXL into a virtual environment in a cache folder of the user, for the tests and the
# benchmark that stand beside it. Millrace itself needs only the library, which scripts/fetch-nixl.sh gets.
#
#   export MILLRACE_NIXL_PYTHON=$(scripts/fetch-nixl-python.sh)
#
# prints the path of a python that imports nixl as its only line on stdout; progress and errors on stderr. Where to:
# ${XDG_CACHE_HOME:-~/.cache}/millrace/nixl-python/<version>-<python>. Needs Linux on x86_64 or aarch64 with glibc >= 2.28 and
# CPython 3.10 to 3.14 with venv and pip (MILLRACE_PYTHON names another python3), about 90 MB of download and 330 MB of disk.
# Torch is declared by the package, but not needed, and not installed. No root, no CUDA, no GPU.
#
# Exit codes: 0 it is there, 1 what was installed cannot be imported, 2 this machine cannot do it (Python, venv, disk, usage),
# 3 the packages could not be installed.
set -euo pipefail

version=1.5.1

say() { printf 'fetch-nixl-python: %s\n' "$*" >&2; }
fail() {
    local code=$1
    shift
    say "$*"
    exit "$code"
}

case ${1-} in
    "") ;;
    -h | --help)
        sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" | sed '$d'
        exit 0
        ;;
    *) fail 2 "takes no arguments, but got \"$1\" (--help says more)" ;;
esac

python=${MILLRACE_PYTHON:-python3}
command -v "$python" >/dev/null || fail 2 "\"$python\" was not found: install Python 3 (apt-get install python3 python3-venv), or set MILLRACE_PYTHON"
tag=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || fail 2 "\"$python\" does not run"
case $tag in
    3.1[0-3]) numpy=2.2.6 ;;
    3.14) numpy=2.3.5 ;;
    *) fail 2 "NIXL $version is published for CPython 3.10 to 3.14, \"$python\" is $tag: set MILLRACE_PYTHON" ;;
esac

home=${XDG_CACHE_HOME:-${HOME:?fetch-nixl-python: neither XDG_CACHE_HOME nor HOME is set}/.cache}/millrace/nixl-python/$version-$tag
works() { "$home/bin/python" -c 'import numpy, nixl._api' >/dev/null 2>&1; }

if works; then
    say "NIXL's Python package is already in $home"
    printf '%s\n' "$home/bin/python"
    exit 0
fi

# What an earlier run left behind when it was stopped is of no use; the name is ours alone.
rm -rf "$home"
mkdir -p "$home" 2>/dev/null || fail 2 "cannot make the folder $home: set XDG_CACHE_HOME to a folder that you may write"
"$python" -m venv "$home" >&2 || fail 2 "\"$python\" cannot make a virtual environment: install it (apt-get install python3-venv)"

say "downloading nixl $version and numpy $numpy (about 90 MB) with pip"
# sha256 of the wheels as published, for each Python and platform; nixl itself is a page of Python.
cat >"$home/requirements.txt" <<REQUIREMENTS
nixl==$version --hash=sha256:aa90914d7df16fb586e57be633972917c6c2489b004ad241913ecda02207eaab
nixl-cu12==$version \
  --hash=sha256:d903838a2327730598eb162cc16eb4a18680cfb8738d4ba6ee5b1723d0142543 \
  --hash=sha256:341d0dfa499f941c054614252f1d8047d1380e33f29c87707372ff5ec7d3779a \
  --hash=sha256:a02005f84e498641b8fe02d058fdc6762c99edf7ae6430176d2d16fa57f4fb93 \
  --hash=sha256:a35c6d6b307bdd22a2de7f89698b8db9d4cd5fdad791bd3ad2a1df8e58dc1530 \
  --hash=sha256:2781d8c65849b97f9a7703a47601be18b2ebbae19c0b2e065741cbd78bdc86c9 \
  --hash=sha256:0abfe6eafe4c4edd2befb73378f18278540064a47b71a34cff9252a6574fe4b9 \
  --hash=sha256:aced5529cc9781f8be1ee22e451c852630455460c1812b06cc863b05d797f2db \
  --hash=sha256:98d4b169813a5110842aefc383ba3bf259a886cd09cc9d54c7a6db69bb36de4d \
  --hash=sha256:fe43e2fe367a989f1712306286ec4ead3a3b60b272857fcfa86a800a4e7a4699 \
  --hash=sha256:cdf06cf13bdb2b529d68fd07f8a14812c6c5835e08e498aa4a0df7b05d3f7050
REQUIREMENTS
pip() { "$home/bin/python" -m pip --disable-pip-version-check install --quiet --no-deps --only-binary=:all: "$@" >&2; }
if ! pip --require-hashes -r "$home/requirements.txt" || ! pip "numpy==$numpy"; then
    rm -rf "$home"
    fail 3 "pip could not install nixl==$version and numpy==$numpy: is the network up, does pip's index (pip config list) have them, is there room in the cache folder? Behind a mirror set PIP_INDEX_URL"
fi
works || fail 1 "the packages are in $home, but \"$home/bin/python -c 'import nixl._api'\" fails"
say "NIXL's Python package $version is in $home"
printf '%s\n' "$home/bin/python"
