"""CUDA graphs: what is queued on a stream is captured once, and then launched as one, through cuda-bindings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from daenr_common.errors import DaenrError
from daenr_common.extras import require

MODULE = "cuda.bindings.driver"


@final
class CapturedGraph:
    """Work of a stream, captured. The CUDA context in which it was made must be current in all calls.

    Addresses and sizes are part of it: it copies from and to the very arrays that it was captured with.

    Args:
        stream: the handle of the stream.
        queue_work: queues the work on that stream; it must not wait for it.

    Raises:
        DaenrError: CUDA refuses. The stream can be used again; nothing was run.
    """

    def __init__(self, stream: int, queue_work: Callable[[], None]) -> None:
        self._cuda = require(MODULE, extra="gpu", purpose="CUDA graphs")
        self._stream = stream
        # Other threads may allocate meanwhile; this one may do nothing that cannot be captured.
        mode = self._cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._must(self._cuda.cuStreamBeginCapture(stream, mode))
        try:
            queue_work()
        except BaseException:
            _, unfinished = self._cuda.cuStreamEndCapture(stream)
            if unfinished is not None and int(unfinished):
                self._cuda.cuGraphDestroy(unfinished)
            raise
        graph = self._must(self._cuda.cuStreamEndCapture(stream))
        try:
            self._executable = self._must(self._cuda.cuGraphInstantiate(graph, 0))
        finally:
            self._cuda.cuGraphDestroy(graph)

    def launch(self) -> None:
        """Queue all that was captured."""
        (status,) = self._cuda.cuGraphLaunch(self._executable, self._stream)
        if status:
            self._must((status,))

    def free(self) -> None:
        """Give the graph back; it may not be queued."""
        self._must(self._cuda.cuGraphExecDestroy(self._executable))

    def _must(self, answer: tuple[Any, ...]) -> Any:
        """What a function of the driver answered, if it did not fail."""
        status, *values = answer
        if status != self._cuda.CUresult.CUDA_SUCCESS:
            _, text = self._cuda.cuGetErrorString(status)
            reason = text.decode() if isinstance(text, bytes) else status.name
            raise DaenrError("CUDA graph", f"is refused by the driver ({reason})", "open it without cuda_graphs")
        return values[0] if values else None
