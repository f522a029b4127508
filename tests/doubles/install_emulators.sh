#!/bin/sh
# Install what runs programs of other machines here: QEMU with the C library of 64-bit Arm, Wine for Windows, Mono for C#.
#
# Packages of Debian and Ubuntu, 120 MB to fetch; needs root, so `make test` leaves it to whoever wants it. Does nothing
# where all are found. Where it cannot succeed it says why and answers 1; the tests that need them then skip.
set -eu

fail() {
    echo "Emulators are not installed: $1" >&2
    exit 1
}

missing() {
    for name in qemu-aarch64 wine mcs mono; do
        command -v $name >/dev/null || return 0
    done
    [ ! -e /usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1 ]
}

missing || exit 0
[ "$(id -u)" = 0 ] || fail "that needs root"
command -v apt-get >/dev/null || fail "there is no apt-get"
echo "Installing QEMU, Wine and Mono, once." >&2
apt-get -qq update >/dev/null 2>&1 || fail "apt-get update failed"
DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends \
    qemu-user libc6-arm64-cross wine wine64 mono-mcs mono-runtime libmono-system-core4.0-cil >/dev/null 2>&1 ||
    fail "apt-get install failed"
! missing || fail "a package lacks its program"
