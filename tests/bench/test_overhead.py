"""What the harness itself takes for a timed call."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from daenr_bench.clocks import SYSTEM_CLOCK
from daenr_bench.measurement import WarmUp
from daenr_bench.overhead import CALLS, overhead_of_loops
from daenr_bench.scenarios.calling import Call, time_calls
from daenr_bench.scenarios.schedule import Ready, Schedule
from daenr_export.runtime.protocol import Bound

IMAGES = tuple(np.full((1, 1, 32, 32), number, np.float32) for number in range(64))


def test_both_loops_are_measured() -> None:
    overhead = overhead_of_loops(IMAGES, SYSTEM_CLOCK)
    assert list(overhead) == ["burst", "paced"]
    assert all(0 < loop.p50_ns <= loop.p99_ns and loop.calls == CALLS for loop in overhead.values())


def test_nothing_is_allocated_in_the_loops_but_numbers_of_the_clock() -> None:
    """A few of these live at a time, however many calls there are."""
    call = Call.of(Bound(np.empty_like(IMAGES[0]), (), lambda: None))
    latency_ns = np.empty(CALLS, np.int64)
    schedule = Schedule(2 * CALLS, 3600 * 10**9, SYSTEM_CLOCK.read, (), {})
    ready = Ready(call, lambda _: None, WarmUp(0, settled=True))
    loops = {
        "burst": lambda: time_calls(call, IMAGES, latency_ns, SYSTEM_CLOCK.read),
        "paced": lambda: schedule.run(ready, IMAGES, CALLS),
    }
    for name, loop in loops.items():
        loop()
        tracemalloc.start()
        loop()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # Before its first frame a stretch of a schedule lays down all its instants at once: two arrays of int64.
        beforehand = 2 * latency_ns.nbytes if name == "paced" else 0
        assert most - beforehand < 2048, name


@pytest.mark.alone
def test_it_is_below_a_microsecond() -> None:
    """Two readings of the clock, a call, and copying an image of 4 KiB; the best of five, for a busy machine."""
    runs = [overhead_of_loops(IMAGES, SYSTEM_CLOCK) for _ in range(5)]
    for loop in ("burst", "paced"):
        assert min(run[loop].p50_ns for run in runs) < 1000
