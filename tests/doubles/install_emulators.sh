#!/bin/sh
# Install what runs programs of other machines here: QEMU with the C library of 64-bit Arm, Wine for Windows, Mono for C#.
#
# Packages of Debian and Ubuntu, 120 MB to fetch; needs root, so `make test` leaves it to whoever wants it. Does nothing
# where all are found. What cannot be had is named, and the answer is 1; the tests that need it then skip.
set -eu

has_qemu() { command -v qemu-aarch64 && [ -e /usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1 ]; }
has_wine() { command -v wine; }
has_mono() { command -v mcs && command -v mono; }

fail() {
    echo "Emulators are not installed: $1" >&2
    exit 1
}

apt() {
    apt-get -qq -o Acquire::http::Timeout=30 -o DPkg::Lock::Timeout=60 "$@" >"$log" 2>&1
}

# Each by itself, so that one that is not to be had costs none but itself.
install() {
    name=$1
    shift
    if ! "has_$name" >/dev/null; then
        echo "Installing $name, once." >&2
        if ! apt install --yes --no-install-recommends "$@" || ! "has_$name" >/dev/null; then
            tail -n 5 "$log" >&2
            missing="$missing $name"
        fi
    fi
}

has_qemu >/dev/null && has_wine >/dev/null && has_mono >/dev/null && exit 0
[ "$(id -u)" = 0 ] || fail "that needs root"
command -v apt-get >/dev/null || fail "there is no apt-get"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt update || { tail -n 5 "$log" >&2; fail "apt-get update failed"; }
missing=
install qemu qemu-user libc6-arm64-cross
install wine wine wine64
install mono mono-mcs mono-runtime libmono-system-core4.0-cil
[ -z "$missing" ] || fail "without$missing"
