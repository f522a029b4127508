"""Fewer points that draw the same picture: the tail, which is what a rig feels, is kept value by value."""

from __future__ import annotations

from collections.abc import Sized
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from daenr_bench.measurement import Histogram
from daenr_bench.report.drawing.svg import Point

_EXACT = 40
_RANKS = 80

COLUMNS = 140
"""Stretches of a time line: a few units of a drawing each."""


def exceedance(values: NDArray[np.int64], unanswered: int = 0) -> list[Point]:
    """The share of calls that took longer than a value, as steps from 1 down to the slowest call.

    The slowest values are all there, faster ones at ranks that thin out geometrically.

    Args:
        values: `(N,)`, in any order, at least one.
        unanswered: calls that are slower than all of these.
    """
    ascending = np.sort(values, axis=None)
    n = len(ascending)
    from_top = np.unique(np.concatenate([np.arange(1, _EXACT), np.geomspace(1, n, _RANKS).round()]).astype(np.int64))
    ranks = np.unique(np.concatenate([n - from_top[from_top <= n], [0, n // 2]]))
    shares = (n + unanswered - 1 - ranks) / (n + unanswered)
    return [(float(ascending[0]), 1.0), *zip(ascending[ranks].tolist(), shares.tolist(), strict=True)]


def exceedance_of_histogram(histogram: Histogram, unanswered: int = 0) -> list[Point]:
    """The same from a histogram, where the values are not there: each bucket counts as its largest value."""
    counts = np.asarray(histogram.counts)
    total = int(counts.sum()) + unanswered
    shares = (total - np.cumsum(counts)) / total
    return [(float(histogram.low_ns[0]), 1.0), *zip(map(float, histogram.high_ns), shares.tolist(), strict=True)]


def columns(values: Sized, most: int = COLUMNS) -> list[slice]:
    """A sequence in at most so many stretches of nearly equal length, none of which is empty."""
    edges = np.linspace(0, len(values), min(most, len(values)) + 1).round().astype(int).tolist()
    return [slice(first, end) for first, end in pairwise(edges)]


def coarser(histogram: Histogram, per_decade: int = 16) -> list[tuple[float, float, int]]:
    """A histogram's buckets put together to `(low, high, count)`, each a stretch of the same ratio."""
    ratio = 10 ** (1 / per_decade)
    joined: list[tuple[float, float, int]] = []
    for low, high, n in zip(histogram.low_ns, histogram.high_ns, histogram.counts, strict=True):
        number = np.floor(np.log(max(low, 1)) / np.log(ratio))
        start = float(ratio**number)
        if joined and joined[-1][0] == start:
            joined[-1] = (start, joined[-1][1], joined[-1][2] + n)
        else:
            joined.append((start, max(float(ratio ** (number + 1)), float(high)), n))
    return joined
