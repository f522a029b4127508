#!/bin/sh
# Fetch the headers that examples/cpp needs and pip does not bring: onnxruntime_c_api.h and nlohmann/json.hpp.
#
# They come from Debian 13, checked by its signatures, whichever Debian this is; nothing is installed. Prints the include
# folder, which is kept in ${XDG_CACHE_HOME:-~/.cache}/daenr. Where it cannot succeed it says why and answers 1.
set -eu

SUITE=trixie
KEYS=/usr/share/keyrings/debian-archive-keyring.gpg
cache=${XDG_CACHE_HOME:-$HOME/.cache}/daenr/cpp-headers-$SUITE

fail() {
    echo "the headers of examples/cpp cannot be fetched: $1" >&2
    exit 1
}

if [ ! -d "$cache" ]; then
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail "there is no apt-get"
    [ -r "$KEYS" ] || fail "there is no $KEYS"
    mkdir -p "$(dirname "$cache")"
    work=$(mktemp -d "$cache.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/headers"
    echo "deb [signed-by=$KEYS] http://deb.debian.org/debian $SUITE main" >"$work/sources.list"
    # An apt of its own: neither the lists nor the packages of this machine are touched.
    apt() {
        apt-get -q -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State="$work/state" \
            -o Dir::State::status=/dev/null -o Dir::Cache="$work/cache" -o APT::Sandbox::User= \
            -o Acquire::Languages=none -o Acquire::http::Timeout=20 -o Acquire::Retries=1 "$@"
    }
    cd "$work"
    { apt update && apt download libonnxruntime-dev nlohmann-json3-dev; } >"$work/log" 2>&1 ||
        { tail -n 5 "$work/log" >&2; fail "Debian's archive does not answer"; }
    for package in *.deb; do
        dpkg-deb --extract "$package" "$work/headers"
    done
    mv -T "$work/headers/usr/include" "$cache" 2>/dev/null || [ -d "$cache" ] || fail "$cache cannot be written to"
fi
echo "$cache"
