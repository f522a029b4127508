"""CUDA events: marks in a stream, and the device's own time between two of them, through pycuda."""

from __future__ import annotations

from types import ModuleType
from typing import Any, final


@final
class EventTimer:
    """Two events around work that is queued on a stream. The CUDA context must be current in all calls.

    Args:
        driver: the module `pycuda.driver`.
        stream: that the work is queued on.
    """

    def __init__(self, driver: ModuleType, stream: Any) -> None:
        self._start, self._end = driver.Event(), driver.Event()
        self._stream = stream

    def start(self) -> None:
        """Mark the beginning."""
        self._start.record(self._stream)

    def stop(self) -> None:
        """Mark the end."""
        self._end.record(self._stream)

    def elapsed_ns(self) -> int:
        """Between the marks, when the stream has passed both. CUDA resolves about half a microsecond."""
        milliseconds: float = self._end.time_since(self._start)
        return round(milliseconds * 1e6)

    def free(self) -> None:
        """Give the events back."""
        del self._start, self._end, self._stream
