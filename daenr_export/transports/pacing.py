"""Instants at a fixed rate, and a wait for them that can be ended from another thread."""

from __future__ import annotations

import math
import time
from threading import Event
from typing import final

from daenr_common.errors import SpecError

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
