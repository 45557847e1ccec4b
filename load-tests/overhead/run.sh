#!/usr/bin/env bash
# What a request costs in the router: requests per second and CPU per request through Millrace, beside nginx, in one run.
# measure.py does the work and says what it does; this checks that everything it needs is there.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)

missing=
need() {
    if ! command -v "$1" >/dev/null; then
        echo "$1 is missing ($2): install it, on Debian with: apt-get install $3" >&2
        missing=yes
    fi
}
[ "$(uname -s)" = Linux ] || { echo "CPU times are read from /proc: this needs Linux" >&2 && exit 2; }
need python3 "runs the measurement" python3
need wrk "makes the load" wrk
need taskset "keeps router and load on CPUs of their own" util-linux
PATH=$PATH:/usr/sbin need nginx "is what Millrace is compared with" nginx-light
[ -z "$missing" ] || exit 2
[ "$(nproc)" -ge 2 ] || { echo "one CPU is not enough: the router needs one for itself" >&2 && exit 2; }

exec env PATH="$PATH:/usr/sbin" python3 "$here/measure.py" "$@"
