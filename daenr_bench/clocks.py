"""The clock that everything is timed with, and whether the wall clock was set meanwhile, which changes no figure."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from daenr_bench.result import ClockUse

Clock = Callable[[], int]
"""Reads a monotonic time in nanoseconds."""

SYSTEM_CLOCK: Clock = time.perf_counter_ns

_SHORTEST_STEP_NS = 50_000_000
"""Less may be the slow correction of a time server."""


class Reading(NamedTuple):
    """Both clocks at one instant, in nanoseconds."""

    monotonic_ns: int
    wall_ns: int


def read_clocks(clock: Clock, wall: Clock = time.time_ns) -> Reading:
    """Read both clocks."""
    return Reading(clock(), wall())


def clock_use(before: Reading, clock: Clock, wall: Clock = time.time_ns) -> ClockUse:
    """What is to be said of the clock at the end of a run.

    Args:
        before: of its beginning.
        clock: that the run was timed with. Only the system's is compared with the wall clock.
        wall: the wall clock.
    """
    now = read_clocks(clock, wall)
    step_ns = (now.wall_ns - before.wall_ns) - (now.monotonic_ns - before.monotonic_ns)
    is_step = clock is SYSTEM_CLOCK and abs(step_ns) >= _SHORTEST_STEP_NS
    return ClockUse(
        name="time.perf_counter_ns" if clock is SYSTEM_CLOCK else "a clock that the caller gave",
        resolution_ns=max(round(time.get_clock_info("perf_counter").resolution * 1e9), 1),
        wall_clock_step_s=step_ns / 1e9 if is_step else 0.0,
    )
