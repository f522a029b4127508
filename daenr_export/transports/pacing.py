"""Frames at the instants when they are due, until somebody closes the source from another thread."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from threading import Event
from typing import final

from daenr_common.errors import SpecError
from daenr_export.loop.frames import Frame
from daenr_export.specs import Array

_NS_PER_S = 1_000_000_000


@final
class Pacer:
    """Waits for instants of `time.monotonic_ns`, until it is stopped; then it waits no more.

    Args:
        rate_hz: how many instants a second; None where the caller names each instant itself.

    Raises:
        SpecError: the rate is not a positive number.
    """

    def __init__(self, rate_hz: float | None = None) -> None:
        if rate_hz is not None and not (math.isfinite(rate_hz) and rate_hz > 0):
            raise SpecError("rate_hz", f"is {rate_hz}", "give a number of frames a second above 0")
        self._rate_hz = rate_hz
        self._stopped = Event()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def offset_ns(self, index: int) -> int:
        """Nanoseconds from the first instant to the one of this index. Counted, not summed up: it does not drift."""
        return 0 if self._rate_hz is None else round(index * _NS_PER_S / self._rate_hz)

    def wait_until(self, instant_ns: int) -> bool:
        """Wait; return at once for an instant that has passed.

        Returns:
            False if it was stopped, before or meanwhile.
        """
        while (left_ns := instant_ns - time.monotonic_ns()) > 0:
            if self._stopped.wait(left_ns / _NS_PER_S):
                return False
        return not self._stopped.is_set()

    def stop(self) -> None:
        """End the waiting, for good."""
        self._stopped.set()


def play(images: Iterable[tuple[int, Array]], pacer: Pacer) -> Iterator[Frame]:
    """Give images as frames, each when it is due and not before; `captured_ns` is when it was due.

    An image that took longer to prepare than there was time comes late, and those after it are due as before.

    Args:
        images: each with its nanoseconds after the first.
        pacer: ends the frames when it is stopped.
    """
    start_ns: int | None = None
    for index, (offset_ns, image) in enumerate(images):
        start_ns = time.monotonic_ns() - offset_ns if start_ns is None else start_ns
        if not pacer.wait_until(start_ns + offset_ns):
            return
        yield Frame(index, image, start_ns + offset_ns)
