"""Graphs as native code: from ONNX to a shared library that needs nothing else.

    reading/    ONNX file  → `Network`: typed operations
    planning/   operations → steps of the kernels, each value at its place
    writing/    steps      → C; the kernels that are the same for every graph are in c/
    compiling   C          → shared library, by the compiler of the ziglang wheel

`make_library` does all of it. A library has the interface of `c/daenr_native.h`.
"""

from typing import TYPE_CHECKING, Any

from daenr_export.native.targets import TARGETS, native_target

if TYPE_CHECKING:
    from daenr_export.native.library import NativeLibrary, layers_of, make_library

__all__ = ["TARGETS", "NativeLibrary", "layers_of", "make_library", "native_target"]


def __getattr__(name: str) -> Any:
    """What makes libraries is imported when it is asked for: a bundle is opened, and answers, without it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from daenr_export.native import library

    return getattr(library, name)
