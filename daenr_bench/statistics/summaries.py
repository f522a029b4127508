"""Samples as the figures that a result holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daenr_bench.measurement import Block, Latency, Spread
from daenr_bench.statistics.histogram import histogram
from daenr_bench.statistics.percentiles import nearest_rank, percentile, percentiles


def latency_of(times_ns: NDArray[np.int64], unanswered: int = 0) -> Latency:
    """The figures of a sample of at least one time, of any shape.

    Args:
        times_ns: the sample in nanoseconds.
        unanswered: calls that were due and never answered.
    """
    return Latency(
        n=times_ns.size,
        unanswered=unanswered,
        min_ns=int(times_ns.min()),
        mean_ns=float(times_ns.mean()),
        max_ns=int(times_ns.max()),
        percentiles=percentiles(times_ns, unanswered),
        histogram=histogram(times_ns),
    )


def block_of(times_ns: NDArray[np.int64], *, start_s: float, unanswered: int = 0, misses: int | None = None) -> Block:
    """The figures of a stretch of a measurement `(N,)`, which may be empty.

    Args:
        times_ns: latencies of the calls that were answered.
        start_s: when it began, in seconds since the scenario's start.
        unanswered: calls that were due in it and never answered.
        misses: deadlines that were missed in it; None where there is none.
    """
    ascending_ns = np.sort(times_ns)
    return Block(
        start_s=start_s,
        n=len(ascending_ns),
        p50_ns=nearest_rank(ascending_ns, 0.5) if len(ascending_ns) else None,
        p99_ns=percentile(ascending_ns, 0.99, unanswered).value_ns,
        max_ns=int(ascending_ns[-1]) if len(ascending_ns) else None,
        misses=misses,
    )


def spread_of(times_ns: NDArray[np.int64]) -> Spread:
    """The figures of a few repeats `(N,)`, of which there is at least one."""
    ascending_ns = np.sort(times_ns)
    return Spread(len(ascending_ns), int(ascending_ns[0]), nearest_rank(ascending_ns, 0.5), int(ascending_ns[-1]))
