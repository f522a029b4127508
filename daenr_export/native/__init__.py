"""Graphs as native code: from ONNX to a shared library that needs nothing else.

    reading     ONNX file                → Network         (nodes: what each kind of node means)
    fusing      Network                  → fewer operations
    layers      operations               → convolutions over maps with their channels last
    plan        layers                   → where each value lies
    generate    plan                     → C               (tiles: what stays in registers; c/: the kernels)
    compiling   C                        → shared library  (the compiler of the ziglang wheel)

`make_library` does all of it. A library has the interface of `c/daenr_native.h`.
"""

from daenr_export.native.library import NativeLibrary, make_library
from daenr_export.native.targets import TARGETS, native_target

__all__ = ["TARGETS", "NativeLibrary", "make_library", "native_target"]
