"""What the harness itself takes for a timed call."""

from __future__ import annotations

import numpy as np
import pytest

from daenr_bench.clocks import SYSTEM_CLOCK
from daenr_bench.overhead import CALLS, overhead_of_loops

IMAGES = tuple(np.full((1, 1, 32, 32), number, np.float32) for number in range(64))


def test_both_loops_are_measured() -> None:
    overhead = overhead_of_loops(IMAGES, SYSTEM_CLOCK)
    assert list(overhead) == ["burst", "paced"]
    assert all(0 < loop.p50_ns <= loop.p99_ns and loop.calls == CALLS for loop in overhead.values())


@pytest.mark.alone
def test_it_is_below_a_microsecond() -> None:
    """Two readings of the clock, a call, and copying an image of 4 KiB; the best of five, for a busy machine."""
    runs = [overhead_of_loops(IMAGES, SYSTEM_CLOCK) for _ in range(5)]
    for loop in ("burst", "paced"):
        assert min(run[loop].p50_ns for run in runs) < 1000
