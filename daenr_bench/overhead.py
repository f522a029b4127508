"""What the harness and the machine take for a timed call: the same loops around an engine that does nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from daenr_bench.clocks import Clock
from daenr_bench.measurement import WarmUp
from daenr_bench.result import Overhead
from daenr_bench.scenarios.calling import Call, quiet_gc, time_calls
from daenr_bench.scenarios.schedule import Ready, Schedule
from daenr_bench.statistics.percentiles import nearest_rank
from daenr_export.runtime.protocol import Bound
from daenr_export.specs import Array

CALLS = 5000

WAKING = "waking"
"""Under this name a result tells what is left of `paced` with an engine that does nothing."""

OF_THE_MACHINE = "where an engine's p99 is less than twice that, its tail is mostly this machine's"
"""What such a figure is good for."""

_LONG_NS = 3600 * 10**9


def overhead_of_loops(batches: Sequence[Array], clock: Clock) -> dict[str, Overhead]:
    """Time the loops `burst` and `paced` with inputs, copying them included."""
    ready = doing_nothing(batches[0], _do_not_wait)
    with quiet_gc():
        latency_ns = np.empty(CALLS, np.int64)
        time_calls(ready.call, batches, latency_ns, clock.read)
        schedule = Schedule(CALLS, _LONG_NS, clock.read, (), {})
        # Nobody waits, so every frame is early, and none is skipped.
        schedule.run(ready, batches, CALLS)
    frames = schedule.frames
    return {"burst": overhead_of(latency_ns), "paced": overhead_of(frames.end_ns - frames.start_ns)}


def doing_nothing(batch: Array, wait_until: Callable[[int], None]) -> Ready:
    """An engine that takes batches like this one and leaves it at that.

    Args:
        batch: to take the shape of.
        wait_until: how its loop waits for an instant.
    """
    call = Call.of(Bound(np.empty_like(batch), (), lambda: None))
    return Ready(call, wait_until, WarmUp(0, settled=True))


def _do_not_wait(_: int) -> None:
    pass


def overhead_of(times_ns: NDArray[np.int64]) -> Overhead:
    """Times `(N,)` of one loop as a result tells them."""
    ascending_ns = np.sort(times_ns)
    return Overhead(len(ascending_ns), nearest_rank(ascending_ns, 0.5), nearest_rank(ascending_ns, 0.99))
