"""Compiled C: the library that a bundle holds for this kind of machine, called where its checked bytes lie."""

from __future__ import annotations

import ctypes
from functools import partial
from typing import final

import numpy as np

from daenr_common.errors import BackendUnavailableError, DaenrError
from daenr_export.native.targets import SHORTER_SETS, native_target
from daenr_export.runtime.backends.native_library import ALIGNMENT, NativeLibrary, load_library
from daenr_export.runtime.protocol import Bound, GraphSource
from daenr_export.runtime.session import CallSession, empty_buffers
from daenr_export.specs import Array, GraphSpec

NAME = "native"


@final
class NativeBackend:
    """Opens graphs as compiled C (see `daenr_export.runtime.protocol.Backend`)."""

    threads = 1
    """The caller's."""

    @property
    def name(self) -> str:
        """The name a user asks for."""
        return NAME

    def why_unavailable(self) -> str | None:
        """None on a kind of machine that libraries are made for; whether a bundle holds one is seen on opening it."""
        try:
            native_target()
        except DaenrError as error:
            return str(error)
        return None

    def open(self, graph: GraphSource) -> CallSession:
        """Load the library of a graph, and let it answer the images that were compiled into it.

        Raises:
            BackendUnavailableError: there is none for this machine, or it is of another version, another graph or
                damaged, or this processor has none of its instruction sets.
            WrongAnswersError: it answers its built-in images wrongly.
        """
        return open_graph(graph)


def open_graph(graph: GraphSource, *, tests: bool = True) -> CallSession:
    """Open a graph as compiled C. Raises as `NativeBackend.open`.

    Args:
        graph: of a bundle, or one that is tried.
        tests: whether the library first answers the images that were compiled into it.
    """
    spec = graph.spec
    library = load_library(graph.native(native_target()), spec.name)
    library.check_is(spec, graph.onnx_sha256)
    if tests:
        _self_test(library, spec)
    answer = _Call(library, spec)
    # What a library with shorter numbers has for other processors computes in float32.
    precision = None if library.instruction_set in SHORTER_SETS else "fp32"
    return CallSession(NAME, spec, answer, partial(_bind, library, spec), precision=precision)


class WrongAnswersError(BackendUnavailableError):
    """A library that answers its built-in images wrongly."""


def _self_test(library: NativeLibrary, spec: GraphSpec) -> None:
    worst = ctypes.c_double()
    state = _state(library)
    if library.self_test(state.ctypes.data, ctypes.byref(worst)) != 0:
        problem = f"answers its built-in images wrongly here (error {worst.value:.1e} of scale)"
        raise WrongAnswersError(f"native library of the graph {spec.name}", problem, "choose another backend")


def _state(library: NativeLibrary) -> Array:
    """The caller's buffer of a session, aligned as the library wants it."""
    raw = np.zeros(library.state_bytes + ALIGNMENT, np.uint8)
    first = -raw.ctypes.data % ALIGNMENT
    return raw[first : first + library.state_bytes]


@final
class _Call:
    """Answers batches of any size into new arrays; the state is its own."""

    def __init__(self, library: NativeLibrary, spec: GraphSpec) -> None:
        self._run = library.run
        self._state = _state(library)
        self._address = self._state.ctypes.data
        self._outputs = [(output.shape, output.numpy_dtype) for output in spec.outputs]
        self._pointers = (ctypes.c_void_p * len(self._outputs))()
        self._input = (spec.input.shape, spec.input.numpy_dtype)

    def __call__(self, batch: Array) -> tuple[Array, ...]:
        shape, dtype = self._input
        if batch.shape[1:] != shape or batch.dtype != dtype or not batch.flags.c_contiguous:
            raise ValueError(f"expected C-contiguous {dtype} {('B', *shape)}")
        size = len(batch)
        outputs = tuple(np.empty((size, *shape), dtype) for shape, dtype in self._outputs)
        for index, output in enumerate(outputs):
            self._pointers[index] = output.ctypes.data
        if code := self._run(self._address, size, batch.ctypes.data, self._pointers):
            raise ValueError(f"the library refuses it (code {code})")
        return outputs


def _bind(library: NativeLibrary, spec: GraphSpec, batch: int) -> Bound:
    """Standing buffers; a run is one call with the same four numbers."""
    source, outputs = empty_buffers(spec, batch)
    state = _state(library)
    pointers = (ctypes.c_void_p * len(outputs))(*(output.ctypes.data for output in outputs))
    call, arguments = library.run, (state.ctypes.data, batch, source.ctypes.data, ctypes.addressof(pointers))

    def run(_keep: object = (state, pointers, source, outputs)) -> None:
        if code := call(*arguments):
            raise ValueError(f"the native library refuses a batch of {batch} (code {code})")

    return Bound(source, outputs, run)
