"""What the harness itself takes for a timed call: the same loops around an engine that does nothing."""

from __future__ import annotations

from collections.abc import Sequence

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
_LONG_NS = 3600 * 10**9


def overhead_of_loops(batches: Sequence[Array], clock: Clock) -> dict[str, Overhead]:
    """Time the loops `burst` and `paced` with inputs, copying them included."""
    call = Call.of(Bound(np.empty_like(batches[0]), (), lambda: None))
    with quiet_gc():
        latency_ns = np.empty(CALLS, np.int64)
        time_calls(call, batches, latency_ns, clock.read)
        schedule = Schedule(CALLS, _LONG_NS, clock.read, (), {})
        # Nobody waits, so every frame is early, and none is skipped.
        schedule.run(Ready(call, _do_not_wait, WarmUp(0, settled=True)), batches, CALLS)
    frames = schedule.frames
    return {"burst": _overhead(latency_ns), "paced": _overhead(frames.end_ns - frames.start_ns)}


def _do_not_wait(_: int) -> None:
    pass


def _overhead(times_ns: NDArray[np.int64]) -> Overhead:
    ascending_ns = np.sort(times_ns)
    return Overhead(len(ascending_ns), nearest_rank(ascending_ns, 0.5), nearest_rank(ascending_ns, 0.99))
