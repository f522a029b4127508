"""A session on TensorRT: an engine, its memory on both sides, and the stream between them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, final

import numpy as np

from daenr_common.errors import DaenrError, ImageError
from daenr_export.runtime.backends.cuda_events import EventTimer
from daenr_export.runtime.backends.cuda_graph import CapturedGraph
from daenr_export.runtime.backends.cuda_memory import DeviceTensors, HostTensors, current, primary_context
from daenr_export.runtime.backends.tensorrt_context import OpenEngine
from daenr_export.runtime.protocol import Bound, TimedBound
from daenr_export.specs import Array, GraphSpec

T = TypeVar("T")

DEVICE_BOUNDARY = (
    "on the device, between two CUDA events in the stream: from before the copy of the batch to the device to after "
    "the copies of the answers from it; launching it all and waiting for it are outside"
)


@final
class EngineSession:
    """An open engine with its buffers (see `daenr_export.runtime.protocol.Session`, and `DeviceTimed` there).

    Memory is taken once, for the largest batch. Any thread may run it, one at a time: the CUDA context is made current
    for each call, and given back.

    Args:
        backend: its name, for messages.
        driver: the module `pycuda.driver`; the primary context is current.
        spec: the graph that is open.
        engine: the engine; the session closes it.
        capture: launch the copies and the kernels of a batch as one captured CUDA graph. There is one at a time, since
            a graph is valid only for the state of the context that it was captured in: a new batch size, or other
            buffers, are captured anew.
    """

    def __init__(
        self, backend: str, driver: Any, spec: GraphSpec, engine: OpenEngine, *, capture: bool = False
    ) -> None:
        self._subject = f"{backend} session of the graph {spec.name}"
        self._driver = driver
        self._spec = spec
        self._engine: OpenEngine | None = engine
        self._capture = capture
        self._captured: tuple[HostTensors, CapturedGraph] | None = None
        self._context = primary_context(driver)
        self._stream = driver.Stream()
        self._device = DeviceTensors(driver, spec)
        self._hosts = [HostTensors.allocate(driver, spec, spec.batch.max)]
        self._head = self._hosts[0]
        self._timers: list[EventTimer] = []
        self._size = 0
        self._one_at_a_time = threading.Lock()
        for tensor, address in zip((spec.input, *spec.outputs), self._device.addresses, strict=True):
            engine.bind(tensor.name, address)

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
        return self._exclusively(partial(self._copy_and_answer, batch), len(batch))

    def bind(self, batch: int) -> Bound:
        """Take page-locked standing buffers for a batch size. The first run, which prepares the GPU, is done here.

        Raises:
            ImageError: the engine does not take this batch size.
            DaenrError: the session is closed or busy in another thread, or the GPU reports an error.
        """
        self._check_size(batch)
        host = self._exclusively(partial(self._prepare, batch), batch)
        return Bound(host.input, host.outputs, partial(self._exclusively, partial(self._answer, host), batch))

    @property
    def device_boundary(self) -> str:
        """Where the device's clock starts and stops, in words."""
        return DEVICE_BOUNDARY

    def bind_timed(self, batch: int) -> TimedBound:
        """Take standing buffers like `bind`, whose runs are also timed by the device.

        Raises:
            ImageError: the engine does not take this batch size.
            DaenrError: the session is closed or busy in another thread, or the GPU reports an error.
        """
        self._check_size(batch)
        host = self._exclusively(partial(self._prepare, batch), batch)
        timer = self._exclusively(self._new_timer, batch)
        run = partial(self._exclusively, partial(self._answer, host, timer), batch)
        run()  # from now on there is a time to be told
        return TimedBound(Bound(host.input, host.outputs, run), partial(self._exclusively, timer.elapsed_ns, batch))

    def close(self) -> None:
        """Free the engine, the buffers and the stream. Closing twice is allowed; a batch in flight is waited for."""
        with self._one_at_a_time:
            if self._engine is None:
                return
            engine, self._engine = self._engine, None
            with current(self._driver):
                try:
                    self._stream.synchronize()
                    self._forget_capture()
                    engine.close()
                finally:
                    self._device.free()
                    for host in self._hosts:
                        host.free()
                    for timer in self._timers:
                        timer.free()
                    del self._hosts, self._head, self._stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _exclusively(self, work: Callable[[], T], batch: int) -> T:
        """Do something with the engine, in no other thread at the same time, with the CUDA context current."""
        if not self._one_at_a_time.acquire(blocking=False):
            raise DaenrError(self._subject, "is answering another thread's batch", "open a session for each thread")
        try:
            if self._engine is None:
                raise DaenrError(self._subject, "is closed", "open the graph again")
            self._context.push()
            try:
                return work()
            finally:
                self._driver.Context.pop()
        except DaenrError:
            raise
        except Exception as error:
            problem = f"could not answer a batch of {batch} ({error})"
            raise DaenrError(self._subject, problem, "close it and open the graph again") from error
        finally:
            self._one_at_a_time.release()

    def _check(self, batch: Array) -> None:
        tensor = self._spec.input
        if batch.shape[1:] != tensor.shape or batch.dtype != tensor.numpy_dtype:
            problem = f"is {batch.dtype} {batch.shape}, expected {tensor.dtype} {('B', *tensor.shape)}"
            raise ImageError(f"{tensor.name} for the graph {self._spec.name}", problem, "check it against the manifest")
        self._check_size(len(batch))

    def _check_size(self, size: int) -> None:
        tensor, limits = self._spec.input, self._spec.batch
        if not limits.min <= size <= limits.max:
            problem = f"is a batch of {size}, and the engine takes {limits.min} to {limits.max}"
            remedy = "split it, or export the bundle with another batch range"
            raise ImageError(f"{tensor.name} for the graph {self._spec.name}", problem, remedy)

    def _prepare(self, batch: int) -> HostTensors:
        host = HostTensors.allocate(self._driver, self._spec, batch)
        self._hosts.append(host)
        self._answer(host)
        self._open_engine.keep_kernels()  # a rig's process may be killed, and then nothing is closed
        return host

    def _new_timer(self) -> EventTimer:
        timer = EventTimer(self._driver, self._stream)
        self._timers.append(timer)
        return timer

    def _copy_and_answer(self, batch: Array) -> tuple[Array, ...]:
        if len(batch) != self._head.batch:
            self._head = self._hosts[0].first(len(batch))
        host = self._head
        np.copyto(host.input, batch, casting="no")
        self._answer(host)
        return tuple(output.copy() for output in host.outputs)

    def _answer(self, host: HostTensors, timer: EventTimer | None = None) -> None:
        try:
            if host.batch != self._size:
                self._resize(host.batch)
            if timer is not None:
                timer.start()
            if self._capture:
                self._launch(host)
            else:
                self._queue(host)
            if timer is not None:
                timer.stop()
        finally:  # whatever failed, nothing may still be on its way from or to these buffers
            self._stream.synchronize()

    def _launch(self, host: HostTensors) -> None:
        if self._captured is None or self._captured[0] is not host:
            self._forget_capture()
            self._queue(host)  # TensorRT settles a new shape in a run that is not captured
            self._stream.synchronize()
            self._captured = host, CapturedGraph(self._stream.handle, partial(self._queue, host))
        self._captured[1].launch()

    def _queue(self, host: HostTensors) -> None:
        self._device.upload(host, self._stream)
        if problem := self._open_engine.enqueue(self._stream.handle):
            raise DaenrError(self._subject, f"TensorRT did not run a batch of {host.batch}: {problem}", "see its log")
        self._device.download(host, self._stream)

    def _resize(self, size: int) -> None:
        self._size = 0  # whatever fails from here on, the next batch sets all shapes again
        self._forget_capture()
        self._open_engine.set_batch(size)
        self._size = size

    def _forget_capture(self) -> None:
        if self._captured is not None:
            (_, graph), self._captured = self._captured, None
            graph.free()

    @property
    def _open_engine(self) -> OpenEngine:
        assert self._engine is not None  # what asks for it runs in _exclusively, which looked
        return self._engine
