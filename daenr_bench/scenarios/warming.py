"""Warm-up: real images, one call after the other, until the latency has settled."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from daenr_bench.measurement import WarmUp
from daenr_bench.scenarios.calling import Call, time_calls
from daenr_bench.statistics.warm_up import BLOCK, has_settled
from daenr_export.specs import Array

_MAX_BLOCKS = 40
_MAX_NS = 1_000_000_000


def warm_up(call: Call, batches: Sequence[Array], read: Callable[[], int]) -> WarmUp:
    """Call until three blocks in a row have nearly the same median, or for as long as is bearable."""
    latency_ns = np.empty(BLOCK, np.int64)
    medians_ns: list[float] = []
    end_ns = read() + _MAX_NS
    while not has_settled(medians_ns) and len(medians_ns) < _MAX_BLOCKS and read() < end_ns:
        time_calls(call, batches, latency_ns, read)
        medians_ns.append(float(np.median(latency_ns)))
    return WarmUp(len(medians_ns) * BLOCK, has_settled(medians_ns))
