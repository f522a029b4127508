"""The kernels that show what this core can do: compiled when they are needed, chosen by what the processor has."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from daenr_common.errors import BackendUnavailableError
from daenr_export.native.compiling import compile_alone
from daenr_export.native.targets import find_target, native_target
from daenr_export.runtime.backends.native_library import open_library

FILES = ("limits.c", "x86_64.h")
"""Package data in `c/`; the first is compiled."""

READ = "read"
"""What a kernel that reads memory has in place of a precision."""

Run = Callable[[int, int | None, int], float]


class _Kernel(ctypes.Structure):
    _fields_ = (
        ("precision", ctypes.c_char_p),
        ("instructions", ctypes.c_char_p),
        ("supported", ctypes.CFUNCTYPE(ctypes.c_int32)),
        ("run", ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)),
    )


@dataclass(frozen=True)
class Kernel:
    """A loop of one kind of instruction.

    Attributes:
        precision: of the factors, `fp32`, `bf16` or `int8`; or `READ`.
        instructions: the instruction set, e.g. `avx512-vnni`.
        is_supported: whether this processor and its system have it.
        run: from repeats, and for reading the address (aligned to a cache line) and bytes of a buffer, to the
            multiply-adds or bytes that were done.
    """

    precision: str
    instructions: str
    is_supported: bool
    run: Run = field(compare=False)


@cache
def kernels() -> tuple[Kernel, ...]:
    """All kernels of this kind of machine, compiled once in a process.

    Raises:
        MissingExtraError: ziglang is not installed.
        ExportError: the compiler failed.
        BackendUnavailableError: what was compiled cannot be loaded.
        DaenrError: nothing is compiled for this kind of machine.
    """
    folder = resources.files(__package__).joinpath("c")
    files = {name: folder.joinpath(name).read_bytes() for name in FILES}
    content = compile_alone(files, FILES[0], find_target(native_target()))
    try:
        library = open_library(content)
    except OSError as error:
        remedy = "allow programs to load what they compile, or measure on another machine"
        raise BackendUnavailableError("kernels of the roofline", f"cannot be loaded ({error})", remedy) from error
    count = ctypes.c_int32()
    library.daenr_kernels.restype = ctypes.POINTER(_Kernel)
    found = library.daenr_kernels(ctypes.byref(count))
    return tuple(
        Kernel(item.precision.decode(), item.instructions.decode(), bool(item.supported()), item.run)
        for item in found[: count.value]
    )
