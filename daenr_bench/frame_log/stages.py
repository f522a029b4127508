"""How long the stages of a loop took."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daenr_bench.statistics.percentiles import Percentile, percentiles
from daenr_export.loop.log.records import Rows

STAGES = {
    "capture_to_enqueue": ("captured_ns", "enqueued_ns"),
    "wait": ("enqueued_ns", "started_ns"),
    "inference": ("started_ns", "inferred_ns"),
    "hook": ("inferred_ns", "hooked_ns"),
    "emit": ("hooked_ns", "emitted_ns"),
    "age_at_start": ("captured_ns", "started_ns"),
    "age_at_emit": ("captured_ns", "emitted_ns"),
}
"""Between which instants. Frames for which either never came do not count, but late ones do: see `durations`."""


@dataclass(frozen=True)
class Stage:
    """How long one stage took.

    Attributes:
        n: frames that went through it.
        min_ns: None if there were none.
        max_ns: None if there were none.
        percentiles: by name, e.g. `p99`; refused where there were too few.
    """

    n: int
    min_ns: int | None
    max_ns: int | None
    percentiles: dict[str, Percentile]


def measure_stages(rows: Rows) -> dict[str, Stage]:
    """All stages of `STAGES`."""
    return {name: _measure(durations(rows, name)) for name in STAGES}


def durations(rows: Rows, stage: str) -> NDArray[np.int64]:
    """How long a stage took for the frames that went through it, in nanoseconds.

    A run without a hook has no instant of its end: the emission then follows the inference. A fallback that went out
    before the hook had ended has no stage *emit*.
    """
    first, last = STAGES[stage]
    begin, end = rows[first], rows[last]
    if stage == "emit":
        begin = begin if begin.any() else rows["inferred_ns"]
        end = np.where(end < begin, 0, end)
    came = (begin != 0) & (end != 0)
    found: NDArray[np.int64] = end[came] - begin[came]
    return found


def _measure(sample_ns: NDArray[np.int64]) -> Stage:
    if not len(sample_ns):
        return Stage(0, None, None, percentiles(sample_ns))
    return Stage(len(sample_ns), int(sample_ns.min()), int(sample_ns.max()), percentiles(sample_ns))
