"""The contract between a bundle, the runtime and the backends that run its graphs.

A backend is small on purpose: it says why it cannot run, and it opens a graph as a session. A session takes one
batch and returns the graph's outputs. Everything else (hashes, checks of images, picking a backend) is above it.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class TensorSpec:
    """A named tensor of a graph: its dtype and its shape without the batch axis, which always comes first."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype as numpy's."""
        return np.dtype(self.dtype)

    def bytes_at(self, batch: int) -> int:
        """Size in bytes of a batch of this tensor."""
        return batch * int(np.prod(self.shape, dtype=np.int64)) * self.numpy_dtype.itemsize


@dataclass(frozen=True)
class BatchRange:
    """The batch sizes that a graph's engines accept, and the one they are tuned for."""

    min: int
    opt: int
    max: int


@dataclass(frozen=True)
class GraphSpec:
    """What goes into a graph and what comes out: one input, one to three outputs, a dynamic batch axis."""

    name: str
    input: TensorSpec
    outputs: tuple[TensorSpec, ...]
    batch: BatchRange


class BundleGraph(Protocol):
    """One graph of a bundle, as a backend sees it. Contents are handed out only after their hash matched."""

    @property
    def spec(self) -> GraphSpec:
        """Input, outputs and batch range."""
        ...

    def onnx(self) -> bytes:
        """The fp32 ONNX graph."""
        ...

    def engine(self, flavour: str) -> bytes:
        """The TensorRT engine of a flavour (`tensorrt-rtx` or `tensorrt`).

        Raises:
            BackendUnavailableError: the bundle holds no engine of that flavour for this graph.
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

    def close(self) -> None:
        """Free what the session holds. Closing twice is allowed."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


@runtime_checkable
class Backend(Protocol):
    """Something that can run graphs. Implementations are registered by name (see `registry`)."""

    @property
    def name(self) -> str:
        """The name a user asks for, e.g. `onnxruntime`."""
        ...

    def why_unavailable(self) -> str | None:
        """None where the backend can run; otherwise what is missing and what to install, in one line."""
        ...

    def open(self, graph: BundleGraph) -> Session:
        """Open a graph.

        Raises:
            BackendUnavailableError: the backend cannot run here, or has nothing to run in this bundle.
        """
        ...
