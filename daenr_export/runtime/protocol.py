"""The contract between a bundle, the runtime and the backends that run its graphs.

A backend is small on purpose: it says why it cannot run, and it opens a graph as a session. A session takes one
batch and returns the graph's outputs. Everything else (hashes, checks of images, picking a backend) is above it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self, runtime_checkable

from daenr_export.specs import Array, GraphSpec


class GraphSource(Protocol):
    """One graph of a bundle, as a backend sees it.

    Contents are handed out only after their hash matched: what gives one raises BundleError where it does not, which a
    backend lets through. To pass over a file that was changed would be to answer in spite of it.
    """

    @property
    def spec(self) -> GraphSpec:
        """Input, outputs and batch range."""
        ...

    @property
    def cache_folder(self) -> Path | None:
        """Where a backend may keep what it compiled for this machine: beside the bundle; None for a graph in none."""
        ...

    def onnx(self) -> bytes:
        """The fp32 ONNX graph."""
        ...

    @property
    def onnx_sha256(self) -> str:
        """Its digest, in hexadecimal digits: what it is known by where it need not be read."""
        ...

    def engine(self, flavour: str) -> bytes:
        """The TensorRT engine of a flavour (`tensorrt-rtx` or `tensorrt`).

        Raises:
            BackendUnavailableError: the bundle holds no engine of that flavour for this graph.
        """
        ...

    def native(self, target: str) -> bytes:
        """The library of compiled C for a target, e.g. `x86_64-linux`.

        Raises:
            BackendUnavailableError: the bundle holds no library for that target for this graph.
        """
        ...


class Bound(NamedTuple):
    """Standing buffers at fixed addresses, and the call that answers what lies in them. Valid until its session closes.

    Attributes:
        input: `(B, *input.shape)`; write the batch here.
        outputs: in the order of `spec.outputs`, each `(B, *output.shape)`; every run overwrites them.
        run: answers `input` into `outputs`, and raises what the library raises. Not for two threads at once.
    """

    input: Array
    outputs: tuple[Array, ...]
    run: Callable[[], object]


class TimedBound(NamedTuple):
    """Standing buffers whose runs the device times, too.

    Attributes:
        bound: as of any session; its runs take a few microseconds more, because they are timed.
        device_ns: how long the device took for the last run.
    """

    bound: Bound
    device_ns: Callable[[], int]


@runtime_checkable
class DeviceTimed(Protocol):
    """What a session may offer besides: the time of a run as its device tells it (CUDA events)."""

    @property
    def device_boundary(self) -> str:
        """Where the device's clock starts and stops, in words."""
        ...

    def bind_timed(self, batch: int) -> TimedBound:
        """Take standing buffers for a batch size.

        Raises:
            DaenrError: the session is closed.
        """
        ...


@runtime_checkable
class Session(Protocol):
    """A graph opened on a backend."""

    @property
    def spec(self) -> GraphSpec:
        """Input, outputs and batch range of the graph that is open."""
        ...

    def run(self, batch: Array) -> tuple[Array, ...]:
        """Answer one batch.

        Args:
            batch: C-contiguous array of the input's dtype, shape `(B, *input.shape)`.

        Returns:
            The outputs in the order of `spec.outputs`, each `(B, *output.shape)`; they belong to the caller.
        """
        ...

    def bind(self, batch: int) -> Bound:
        """Take standing buffers for a batch size, so that nothing is allocated when a frame arrives.

        Raises:
            DaenrError: the session is closed.
        """
        ...

    def close(self) -> None:
        """Free what the session holds. Closing twice is allowed."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


@runtime_checkable
class Backend(Protocol):
    """Something that can run graphs. Implementations are registered by name (see `registry`).

    One may also have an attribute `threads`: how many threads of the processor answer a batch. Benchmarks report it.
    """

    @property
    def name(self) -> str:
        """The name a user asks for, e.g. `onnxruntime`."""
        ...

    def why_unavailable(self) -> str | None:
        """None where the backend can run; otherwise what is missing and what to install, in one line."""
        ...

    def open(self, graph: GraphSource) -> Session:
        """Open a graph.

        Raises:
            BackendUnavailableError: the backend cannot run here, or has nothing to run in this bundle.
        """
        ...
