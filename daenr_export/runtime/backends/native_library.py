"""A native library in this process: its bytes loaded, its description read (`native/daenr_native.h` in a bundle)."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import final

from daenr_common.errors import BackendUnavailableError
from daenr_common.hashing import sha256_of
from daenr_export.specs import GraphSpec, TensorSpec

if sys.platform == "linux":
    import fcntl

ABI = 1
"""Version of the interface that this module speaks."""

ALIGNMENT = 64
"""Of a session's state, in bytes."""

EXPORT_AGAIN = "export the bundle again with this daenr and --native"
_DTYPES = {1: "float32", 2: "uint8", 7: "int64"}
_MAX_OUTPUTS = _MAX_RANK = 4


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("dtype", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("dims", ctypes.c_int64 * _MAX_RANK),
    )

    def spec(self) -> TensorSpec:
        return TensorSpec(self.name.decode(), _DTYPES.get(self.dtype, "unknown"), tuple(self.dims[: self.rank]))


class _Graph(ctypes.Structure):
    _fields_ = (
        ("abi", ctypes.c_int32),
        ("n_outputs", ctypes.c_int32),
        ("name", ctypes.c_char_p),
        ("precision", ctypes.c_char_p),
        ("target", ctypes.c_char_p),
        ("source", ctypes.c_char_p),
        ("max_batch", ctypes.c_int64),
        ("state_bytes", ctypes.c_int64),
        ("input", _Tensor),
        ("outputs", _Tensor * _MAX_OUTPUTS),
    )


@final
class NativeLibrary:
    """A loaded library. It stays loaded until the process ends: what runs may hold pointers into it.

    Args:
        handle: from ctypes.
        graph: whose library it is meant to be, for messages.

    Raises:
        BackendUnavailableError: it is no native library, or of another version of the interface.
    """

    def __init__(self, handle: ctypes.CDLL, graph: str) -> None:
        self._subject = f"native library of the graph {graph}"
        try:
            describe, chosen = handle.daenr_describe, handle.daenr_instruction_set
            self.run: Callable[..., int] = handle.daenr_run
            self.self_test: Callable[..., int] = handle.daenr_self_test
        except AttributeError as error:
            raise BackendUnavailableError(self._subject, f"lacks a function ({error})", EXPORT_AGAIN) from error
        describe.restype = ctypes.POINTER(_Graph)
        chosen.restype = ctypes.c_char_p
        handle.daenr_run.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p]
        handle.daenr_self_test.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        self._graph = describe().contents
        if self._graph.abi != ABI:
            problem = f"speaks version {self._graph.abi} of the interface, and this daenr speaks {ABI}"
            raise BackendUnavailableError(self._subject, problem, EXPORT_AGAIN)
        self.instruction_set = (chosen() or b"").decode()
        if not self.instruction_set:
            problem = "has no code for the instruction sets of this processor"
            raise BackendUnavailableError(self._subject, problem, "choose another backend")

    @property
    def state_bytes(self) -> int:
        """Size of the buffer that each session gives it."""
        return int(self._graph.state_bytes)

    def check_is(self, spec: GraphSpec, source_sha256: str) -> None:
        """Raise BackendUnavailableError unless it was made from this very graph.

        Args:
            spec: of the graph.
            source_sha256: of its ONNX file.
        """
        graph = self._graph
        if graph.source.decode() != source_sha256:
            problem = "was made from another ONNX graph than the one beside it"
            raise BackendUnavailableError(self._subject, problem, EXPORT_AGAIN)
        found = (graph.name.decode(), graph.input.spec(), *(graph.outputs[i].spec() for i in range(graph.n_outputs)))
        if found != (spec.name, spec.input, *spec.outputs):
            problem = f"takes and gives other tensors than the manifest says: {found[1:]}"
            raise BackendUnavailableError(self._subject, problem, EXPORT_AGAIN)
        if graph.max_batch < spec.batch.max:
            problem = f"takes batches of up to {graph.max_batch}, and the manifest says {spec.batch.max}"
            raise BackendUnavailableError(self._subject, problem, EXPORT_AGAIN)


_LOADED: dict[str, NativeLibrary] = {}
"""By digest. Loaded code stays: another load of the same bytes would only take more memory."""


def load_library(content: bytes, graph: str) -> NativeLibrary:
    """Load a library from its bytes, once in a process.

    Args:
        content: of the file, after its hash was checked. What is loaded is these bytes, whatever became of the file.
        graph: whose library it is meant to be, for messages.

    Raises:
        BackendUnavailableError: it cannot be loaded here, or as `NativeLibrary`.
    """
    digest = sha256_of(content)
    if digest not in _LOADED:
        try:
            handle = open_library(content)
        except OSError as error:
            problem = f"cannot be loaded ({error})"
            raise BackendUnavailableError(f"native library of the graph {graph}", problem, EXPORT_AGAIN) from error
        _LOADED[digest] = NativeLibrary(handle, graph)
    return _LOADED[digest]


def open_library(content: bytes) -> ctypes.CDLL:
    """Load any shared library from its bytes.

    Raises:
        OSError: it cannot be loaded here.
    """
    return ctypes.CDLL(_file_of(content))


def _file_of(content: bytes) -> str:
    """A path to load bytes from: in memory and sealed where the system can, so that nobody changes them in between.

    The descriptor stays open, since the loader takes two libraries of the same path for one.
    """
    if sys.platform == "linux":
        descriptor = os.memfd_create("daenr-native", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        return f"/proc/self/fd/{descriptor}"
    import atexit
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="daenr-"))  # private to this user
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # Windows keeps what is loaded
    path = folder / "graph.library"
    path.write_bytes(content)
    return str(path)
