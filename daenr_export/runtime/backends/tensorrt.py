"""TensorRT: runs the bundle's engines, of either flavour, with device memory and streams from pycuda."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

from daenr_common.errors import BackendUnavailableError, DaenrError, ImageError
from daenr_common.extras import require
from daenr_export.runtime.backends.cuda_memory import TensorMemory, current
from daenr_export.runtime.backends.tensorrt_context import ContextOptions, OpenEngine
from daenr_export.runtime.protocol import Bound, GraphSource
from daenr_export.runtime.session import bind_by_copying
from daenr_export.specs import Array, GraphSpec
from daenr_export.tensorrt.flavour import ENTERPRISE, RTX, Flavour
from daenr_export.tensorrt.gpu import why_no_gpu

LoadTensorRt = Callable[[Flavour], Any]
"""Imports the module of a flavour. Tests, which have no GPU, bring one whose engines run on the CPU."""


def _load(flavour: Flavour) -> Any:
    return flavour.load(f"the backend {flavour.name}", running=True)


class _EngineBackend:
    """What the backends of both flavours do (see `daenr_export.runtime.protocol.Backend`)."""

    def __init__(self, flavour: Flavour, options: ContextOptions, load: LoadTensorRt) -> None:
        self._flavour = flavour
        self._options = options
        self._load = load

    @property
    def name(self) -> str:
        """The name a user asks for."""
        return self._flavour.name

    def why_unavailable(self) -> str | None:
        """None where engines can run; otherwise what is missing: the GPU first, since nothing else helps without it."""
        try:
            self._libraries()
        except BackendUnavailableError as error:
            return str(error)
        return None

    def open(self, graph: GraphSource) -> EngineSession:
        """Open the engine of a graph.

        Raises:
            BackendUnavailableError: something is missing here, the bundle holds no engine of this flavour, the engine
                is for another version or GPU, or the GPU has not the memory.
        """
        trt, driver = self._libraries()
        plan = graph.engine(self.name)
        try:
            with current(driver):
                return EngineSession(self.name, driver, graph.spec, OpenEngine(trt, plan, graph.spec, self._options))
        except driver.Error as error:
            problem = f"cannot open the graph {graph.spec.name} on the GPU ({error})"
            raise BackendUnavailableError(self.name, problem, "free memory of the GPU, or choose another") from error

    def _libraries(self) -> tuple[Any, Any]:
        """The modules of TensorRT and of pycuda's driver."""
        if reason := why_no_gpu():
            raise BackendUnavailableError(
                self.name, reason, "install the NVIDIA driver, or choose a backend for the CPU"
            )
        trt = self._load(self._flavour)
        return trt, require("pycuda.driver", extra=self._flavour.run_extra, purpose=f"the backend {self.name}")


@final
class TensorRtBackend(_EngineBackend):
    """Opens engines with TensorRT (Enterprise)."""

    def __init__(self, *, load: LoadTensorRt = _load) -> None:
        super().__init__(ENTERPRISE, ContextOptions(), load)


@final
class TensorRtRtxBackend(_EngineBackend):
    """Opens engines with TensorRT-RTX.

    Args:
        cuda_graphs: let TensorRT-RTX capture the kernels of a batch size as one CUDA graph, and launch that.
        runtime_cache: a folder for the kernels that TensorRT-RTX compiles on this GPU when an engine is opened, so that
            they need not be compiled again the next time.
        load: imports the flavour's module.
    """

    def __init__(
        self, *, cuda_graphs: bool = False, runtime_cache: Path | None = None, load: LoadTensorRt = _load
    ) -> None:
        super().__init__(RTX, ContextOptions(cuda_graphs, runtime_cache), load)


@final
class EngineSession:
    """An open engine with its buffers (see `daenr_export.runtime.protocol.Session`).

    Memory is taken once, for the largest batch. Any thread may run it, one at a time: the CUDA context is made current
    for each call, and given back.

    Args:
        backend: its name, for messages.
        driver: the module `pycuda.driver`; the primary context is current.
        spec: the graph that is open.
        engine: the engine; the session closes it.
    """

    def __init__(self, backend: str, driver: Any, spec: GraphSpec, engine: OpenEngine) -> None:
        self._subject = f"{backend} session of the graph {spec.name}"
        self._driver = driver
        self._spec = spec
        self._engine: OpenEngine | None = engine
        self._stream = driver.Stream()
        self._input = TensorMemory(driver, spec.input, spec.batch.max, self._stream)
        self._outputs = [TensorMemory(driver, output, spec.batch.max, self._stream) for output in spec.outputs]
        self._size = 0
        self._one_at_a_time = threading.Lock()
        for tensor, memory in zip((spec.input, *spec.outputs), self._memories(), strict=True):
            engine.bind(tensor.name, memory.address)

    @property
    def spec(self) -> GraphSpec:
        """Input, outputs and batch range of the graph that is open."""
        return self._spec

    def run(self, batch: Array) -> tuple[Array, ...]:
        """Answer one batch `(B, *input.shape)` with arrays `(B, *output.shape)` that belong to the caller.

        Raises:
            ImageError: the batch is larger than the engine takes, or of another shape or dtype.
            DaenrError: the session is closed or busy in another thread, or the GPU reports an error.
        """
        self._check(batch)
        if not self._one_at_a_time.acquire(blocking=False):
            raise DaenrError(self._subject, "is answering another thread's batch", "open a session for each thread")
        try:
            with current(self._driver):
                return self._answer(batch)
        except self._driver.Error as error:
            problem = f"could not answer a batch of {len(batch)} ({error})"
            raise DaenrError(self._subject, problem, "close it and open the graph again") from error
        finally:
            self._one_at_a_time.release()

    def bind(self, batch: int) -> Bound:
        """Take standing buffers for a batch size.

        Raises:
            DaenrError: the session is closed.
        """
        if self._engine is None:
            raise DaenrError(self._subject, "is closed", "open the graph again")
        return bind_by_copying(self, batch)

    def close(self) -> None:
        """Free the engine, the buffers and the stream. Closing twice is allowed; a batch in flight is waited for."""
        with self._one_at_a_time:
            if self._engine is None:
                return
            engine, self._engine = self._engine, None
            with current(self._driver):
                try:
                    self._stream.synchronize()
                    engine.close()
                finally:
                    for memory in self._memories():
                        memory.free()
                    self._outputs = []
                    del self._input, self._stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _memories(self) -> list[TensorMemory]:
        return [self._input, *self._outputs]

    def _check(self, batch: Array) -> None:
        tensor, limits = self._spec.input, self._spec.batch
        if batch.shape[1:] != tensor.shape or batch.dtype != tensor.numpy_dtype:
            problem = f"is {batch.dtype} {batch.shape}, expected {tensor.dtype} {('B', *tensor.shape)}"
            raise ImageError(f"{tensor.name} for the graph {self._spec.name}", problem, "check it against the manifest")
        if not limits.min <= len(batch) <= limits.max:
            problem = f"is a batch of {len(batch)}, and the engine takes {limits.min} to {limits.max}"
            remedy = "split it, or export the bundle with another batch range"
            raise ImageError(f"{tensor.name} for the graph {self._spec.name}", problem, remedy)

    def _answer(self, batch: Array) -> tuple[Array, ...]:
        if self._engine is None:
            raise DaenrError(self._subject, "is closed", "open the graph again")
        if len(batch) != self._size:
            self._resize(self._engine, len(batch))
        self._input.upload(batch)
        if problem := self._engine.enqueue(self._stream.handle):
            self._stream.synchronize()
            raise DaenrError(self._subject, f"TensorRT did not run a batch of {len(batch)}: {problem}", "see its log")
        for output in self._outputs:
            output.download()
        self._stream.synchronize()
        return tuple(output.taken() for output in self._outputs)

    def _resize(self, engine: OpenEngine, size: int) -> None:
        self._size = 0  # whatever fails from here on, the next batch sets all shapes again
        engine.set_batch(size)
        for memory in self._memories():
            memory.resize(size)
        self._size = size
