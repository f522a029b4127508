#!/bin/sh
# Install the real pycuda where there is no CUDA toolkit and no driver, so that tests run it over the double of the driver.
# Where there is a CUDA toolkit, `pip install pycuda` is the way.
#
# The wheel is built once (1 to 2 minutes) and kept in ${XDG_CACHE_HOME:-~/.cache}/daenr. Does nothing where pycuda is
# installed. Where it cannot succeed it says why and answers 1; the tests that need pycuda then skip.
set -eu

PYCUDA=2026.1
CUDA_HEADERS=13.0.96 # of the package nvidia-cuda-runtime
python=${PYTHON:-python3}
here=$(cd "$(dirname "$0")" && pwd)

fail() {
    echo "pycuda is not installed: $1" >&2
    exit 1
}

"$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("pycuda") is None)' && exit 0
"$python" -m pip --version >/dev/null 2>&1 || fail "$python has no pip"
[ "$(uname -s)" = Linux ] || fail "it can be built without CUDA on Linux only"
for tool in cc c++; do
    command -v $tool >/dev/null || fail "it has to be compiled, and there is no $tool"
done

tag=$("$python" -c 'import sys, platform; print(sys.implementation.cache_tag + "-" + platform.machine())')
cache=${XDG_CACHE_HOME:-$HOME/.cache}/daenr/pycuda-$PYCUDA-$tag
if ! ls "$cache"/pycuda-*.whl >/dev/null 2>&1; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    log=$work/log
    echo "Building pycuda $PYCUDA without CUDA, once; this takes 1 to 2 minutes." >&2
    {
        mkdir "$work/headers" "$work/link" "$work/source" "$work/wheel"
        "$python" -m pip install --no-deps --target "$work/headers" "nvidia-cuda-runtime==$CUDA_HEADERS" &&
            "$python" -m pip download --no-deps --no-binary pycuda --dest "$work" "pycuda==$PYCUDA" &&
            tar -xzf "$work"/pycuda-*.tar.gz -C "$work/source" --strip-components=1 &&
            cc -shared -fPIC -fvisibility=hidden -Wl,-soname,libcuda.so.1 -o "$work/link/libcuda.so" "$here/cuda_double.c"
    } >"$log" 2>&1 || { tail -n 20 "$log" >&2; fail "its sources or headers could not be fetched"; }
    # Without CURAND, which nothing here uses: its headers come with 77 MB of library.
    cat >"$work/source/siteconf.py" <<EOF
CUDA_ENABLE_CURAND = False
CUDA_INC_DIR = ["$work/headers/nvidia/cu13/include", "$here"]
CUDADRV_LIB_DIR = ["$work/link"]
CXXFLAGS = ["-O1", "-g0"]
EOF
    "$python" -m pip wheel --no-deps --wheel-dir "$work/wheel" "$work/source" >"$log" 2>&1 ||
        { tail -n 20 "$log" >&2; fail "it does not compile"; }
    mkdir -p "$cache"
    mv "$work"/wheel/pycuda-*.whl "$cache/"
fi
"$python" -m pip install --quiet "$cache"/pycuda-*.whl || fail "its wheel does not install"
