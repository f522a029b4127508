#!/bin/sh
# Unpack a headless Chromium where there is none, so that the tests can open the reports. Needs no rights, only npm.
# With rights, `apt-get install chromium` is the shorter way; $DAENR_CHROMIUM names one that is elsewhere.
#
# It is the package @sparticuz/chromium, 67 MiB, kept in ${XDG_CACHE_HOME:-~/.cache}/daenr. Does nothing where a Chromium
# is found. Where it cannot succeed it says why and answers 1; the tests that need a browser then skip.
set -eu

VERSION=153.0.0

fail() {
    echo "Chromium is not installed: $1" >&2
    exit 1
}

[ -n "${DAENR_CHROMIUM:-}" ] && exit 0
for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do
    command -v $name >/dev/null && exit 0
done
folder=${XDG_CACHE_HOME:-$HOME/.cache}/daenr/chromium-$VERSION
[ -x "$folder/chromium" ] && exit 0
[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || fail "it can be unpacked on Linux on x86-64 only"
for tool in npm node tar; do
    command -v $tool >/dev/null || fail "there is no $tool; apt-get install chromium, or npm"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "Unpacking Chromium $VERSION, once." >&2
(cd "$work" && npm pack --silent "@sparticuz/chromium@$VERSION" >/dev/null) || fail "npm could not fetch it"
tar -xzf "$work"/sparticuz-chromium-*.tgz -C "$work"
mkdir -p "$work/out"
unpack='const fs = require("fs"), zlib = require("zlib");
fs.writeFileSync(process.argv[2], zlib.brotliDecompressSync(fs.readFileSync(process.argv[1])));'
node -e "$unpack" "$work/package/bin/chromium.br" "$work/out/chromium"
# Libraries of the system that a minimal one lacks, and a font.
for archive in al2023 swiftshader fonts; do
    node -e "$unpack" "$work/package/bin/$archive.tar.br" "$work/$archive.tar"
    tar -xf "$work/$archive.tar" -C "$work/out"
done
cat >"$work/out/fonts.conf" <<EOF
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>$folder/fonts</dir><dir>/usr/share/fonts</dir><cachedir>$folder/font-cache</cachedir></fontconfig>
EOF
chmod +x "$work/out/chromium"
mkdir -p "$(dirname "$folder")"
mv "$work/out" "$folder" 2>/dev/null || [ -x "$folder/chromium" ] || fail "$folder cannot be written"
