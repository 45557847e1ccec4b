# shellcheck shell=bash
# Finds a JDK that is new enough, without starting a JVM where a file tells its version. To be sourced by a bash script.
#
#   find_jdk 25        prints the home of a JDK >= 25; returns 1 when there is none
#   no_jdk 25          prints the one line that says how to get one
#
# MILLRACE_JAVA_HOME decides alone when it is set: whoever names a JDK does not want another one. Then JAVA_HOME and the java
# on PATH, then Maven's toolchains, then the folders where installers put JDKs. Among the latter the asked release itself wins
# over newer ones, because it is the one that the tests run on. Works with the bash 3.2 of macOS.

# The feature release of the JDK in a folder, or nothing when it is not a JDK (a JRE cannot build).
jdk_release() {
    local home=$1 version=
    [ -x "$home/bin/java" ] && [ -x "$home/bin/javac" ] || return 1
    if [ -r "$home/release" ]; then
        version=$(sed -n 's/^JAVA_VERSION="\([^"]*\)".*/\1/p' "$home/release")
    fi
    if [ -z "$version" ]; then
        version=$("$home/bin/java" -version 2>&1 | sed -n 's/.* version "\([^"]*\)".*/\1/p')
    fi
    version=${version#1.}                    # 1.8.0 is release 8
    version=${version%%[!0-9]*}
    [ -n "$version" ] && printf '%s\n' "$version"
}

# The JDK that a java on PATH belongs to. It may be a link, or the shim of a version manager, which only the JVM can see through.
jdk_of_command() {
    local java=$1 link hops=0
    while [ -L "$java" ] && [ "$hops" -lt 16 ]; do
        link=$(readlink "$java")
        case $link in
            /*) java=$link ;;
            *) java=$(dirname "$java")/$link ;;
        esac
        hops=$((hops + 1))
    done
    local home=${java%/bin/java}
    if [ -x "$home/bin/javac" ] && [ -r "$home/release" ]; then
        printf '%s\n' "$home"
    else
        "$1" -XshowSettings:properties -version 2>&1 </dev/null | sed -n 's/^ *java\.home = //p'
    fi
}

# The folders in which installers and version managers put JDKs, and Maven's toolchains.
jdk_candidates() {
    local toolchains=$HOME/.m2/toolchains.xml
    if [ -r "$toolchains" ]; then
        sed -n 's:.*<jdkHome>[[:space:]]*\([^<]*[^<[:space:]]\)[[:space:]]*</jdkHome>.*:\1:p' "$toolchains" |
            sed -e "s:\${user.home}:$HOME:" -e "s:\${env.HOME}:$HOME:"
    fi
    local home
    for home in /usr/lib/jvm/* /usr/lib64/jvm/* /usr/java/* /usr/local/java/* /usr/local/*jdk* /opt/java/* /opt/*jdk* /opt/*/*jdk* \
        "$HOME"/.sdkman/candidates/java/* "$HOME"/.jdks/* "$HOME"/.jenv/versions/* "$HOME"/.asdf/installs/java/* \
        "$HOME"/.local/share/mise/installs/java/* "$HOME"/.m2/jdks/* "$HOME"/.gradle/jdks/* \
        /Library/Java/JavaVirtualMachines/*/Contents/Home "$HOME"/Library/Java/JavaVirtualMachines/*/Contents/Home \
        /opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home /usr/local/opt/openjdk*/libexec/openjdk.jdk/Contents/Home \
        /home/linuxbrew/.linuxbrew/opt/openjdk*; do
        if [ -d "$home" ]; then printf '%s\n' "$home"; fi
    done
}

find_jdk() {
    local wanted=$1 home release newer='' newer_release=''
    if [ -n "${MILLRACE_JAVA_HOME:-}" ]; then
        release=$(jdk_release "$MILLRACE_JAVA_HOME") && [ "$release" -ge "$wanted" ] && printf '%s\n' "$MILLRACE_JAVA_HOME"
        return
    fi
    if [ -n "${JAVA_HOME:-}" ] && release=$(jdk_release "$JAVA_HOME") && [ "$release" -ge "$wanted" ]; then
        printf '%s\n' "$JAVA_HOME"
        return
    fi
    if home=$(command -v java) && home=$(jdk_of_command "$home") &&
        release=$(jdk_release "$home") && [ "$release" -ge "$wanted" ]; then
        printf '%s\n' "$home"
        return
    fi
    while IFS= read -r home; do
        release=$(jdk_release "$home") || continue
        if [ "$release" -eq "$wanted" ]; then
            printf '%s\n' "$home"
            return
        fi
        if [ "$release" -gt "$wanted" ] && { [ -z "$newer" ] || [ "$release" -lt "$newer_release" ]; }; then
            newer=$home newer_release=$release
        fi
    done <<EOF_CANDIDATES
$(jdk_candidates)
EOF_CANDIDATES
    [ -n "$newer" ] && printf '%s\n' "$newer"
}

no_jdk() {
    if [ -n "${MILLRACE_JAVA_HOME:-}" ]; then
        echo "MILLRACE_JAVA_HOME=$MILLRACE_JAVA_HOME is not a JDK $1 or newer: point it at one (Eclipse Temurin $1: https://adoptium.net/temurin/releases/?version=$1), or unset it"
    else
        echo "no JDK $1 or newer was found: install one (Eclipse Temurin $1: https://adoptium.net/temurin/releases/?version=$1), or set MILLRACE_JAVA_HOME to where it is"
    fi
}
