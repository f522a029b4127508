"""The double of the CUDA driver: compiled once, put where the loader finds it, and asked what is still alive.

A process uses the double if it was started with the environment of `environment()`. It must be a process of its own: a
driver that is loaded once stays, and what else is there would take it for a GPU.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

SOURCES = [Path(__file__).with_name(name) for name in ("cuda_double.c", "cuda_double_refused.h")]
LIBRARY = "libcuda.so.1"
DEVICE, PINNED = 0, 1


def why_missing() -> str | None:
    """None where the double can be used; otherwise what is missing."""
    if importlib.util.find_spec("pycuda") is None:
        return "pycuda is not installed (tests/doubles/install_pycuda.sh builds it without CUDA)"
    if shutil.which("cc") is None:
        return "no C compiler for the double of the CUDA driver"
    return None


def environment() -> dict[str, str]:
    """The environment of a process that finds the double instead of a driver. Compiles it if need be."""
    folder = str(_build().parent)
    inherited = os.environ.get("LD_LIBRARY_PATH")
    return {**os.environ, "LD_LIBRARY_PATH": f"{folder}:{inherited}" if inherited else folder}


def _build() -> Path:
    """Compile the double into the user's cache, unless this very source is there already."""
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in SOURCES)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "daenr" / f"cuda-double-{digest}"
    library = cache / LIBRARY
    if not library.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            built = Path(folder) / LIBRARY
            flags = ["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-fvisibility=hidden"]
            subprocess.run(["cc", *flags, f"-Wl,-soname,{LIBRARY}", "-o", built, SOURCES[0]], check=True)
            built.replace(library)
    return library


@dataclass(frozen=True)
class Alive:
    """What a process holds of the driver."""

    device_blocks: int
    pinned_blocks: int
    streams: int
    contexts_pushed: int
    graphs: int = 0
    events: int = 0


NOTHING = Alive(device_blocks=0, pinned_blocks=0, streams=0, contexts_pushed=0)


class DriverDouble:
    """The double from inside of a process that uses it."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL(LIBRARY)
        self.library.double_is_device_memory.argtypes = [ctypes.c_uint64, ctypes.c_size_t]
        self.library.cuLaunchHostFunc.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]

    def alive(self) -> Alive:
        count = self.library.double_blocks
        streams, pushed = self.library.double_streams(), self.library.double_contexts_pushed()
        graphs, events = self.library.double_graphs(), self.library.double_events()
        return Alive(count(DEVICE), count(PINNED), streams, pushed, graphs, events)

    def launches(self) -> int:
        """How often a CUDA graph was launched."""
        return int(self.library.double_launches())

    def refuse_captures(self, refuse: bool) -> None:
        """Let streams refuse to be captured."""
        self.library.double_refuse_captures(refuse)

    def run_out_of_memory(self, after: int) -> None:
        """Let memory run out after so many allocations more; negative: never."""
        self.library.double_run_out_of_memory(after)

    def has_context(self) -> bool:
        context = ctypes.c_void_p()
        self.library.cuCtxGetCurrent(ctypes.byref(context))
        return context.value is not None

    def is_device_memory(self, address: int, size: int) -> bool:
        return bool(self.library.double_is_device_memory(address, size))

    def enqueue(self, stream: int, callback: ctypes._FuncPointer) -> int:
        """Run a C callback when the stream gets there."""
        return int(self.library.cuLaunchHostFunc(stream, callback, None))
