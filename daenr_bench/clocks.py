"""The clock that everything is timed with, and whether the wall clock was set meanwhile, which changes no figure."""

from __future__ import annotations

import time
from typing import NamedTuple, Protocol, final

from daenr_bench.result import ClockUse

_AWAKE_NS = 200_000
"""A sleep ends up to this much late (timer slack, waking up), so the last stretch is spent awake."""

_SHORTEST_STEP_NS = 50_000_000
"""Less may be the slow correction of a time server."""


class Clock(Protocol):
    """A monotonic time in nanoseconds, and waiting for an instant of it."""

    name: str

    def read(self) -> int:
        """The time."""
        ...

    def wall(self) -> int:
        """The time of day in nanoseconds, which somebody may set."""
        ...

    def wait_until(self, due_ns: int) -> None:
        """Return at an instant, or at once if it has passed."""
        ...


@final
class SystemClock:
    """The finest monotonic clock that Python has. It waits as a rig's loop does: asleep, and the last 0.2 ms awake."""

    name = "time.perf_counter_ns"
    # The functions themselves, not methods around them: a reading is two calls of each timed call.
    read = staticmethod(time.perf_counter_ns)
    wall = staticmethod(time.time_ns)

    def wait_until(self, due_ns: int) -> None:
        """Return at an instant, or at once if it has passed."""
        read = time.perf_counter_ns
        left_ns = due_ns - read() - _AWAKE_NS
        if left_ns > 0:
            time.sleep(left_ns * 1e-9)
        while read() < due_ns:
            pass


SYSTEM_CLOCK = SystemClock()


class Reading(NamedTuple):
    """Both clocks at one instant, in nanoseconds."""

    monotonic_ns: int
    wall_ns: int


def read_both(clock: Clock) -> Reading:
    """Read the monotonic clock and the wall clock."""
    return Reading(clock.read(), clock.wall())


def clock_use(before: Reading, clock: Clock) -> ClockUse:
    """What is to be said of the clock at the end of a run.

    Args:
        before: both clocks at its beginning.
        clock: that the run was timed with.
    """
    now = read_both(clock)
    step_ns = (now.wall_ns - before.wall_ns) - (now.monotonic_ns - before.monotonic_ns)
    return ClockUse(
        name=clock.name,
        resolution_ns=max(round(time.get_clock_info("perf_counter").resolution * 1e9), 1),
        wall_clock_step_s=step_ns / 1e9 if abs(step_ns) >= _SHORTEST_STEP_NS else 0.0,
    )
