"""Percentiles of latencies: measured values by nearest rank, and how far the true percentile may lie above them.

The upper bound follows the early-stopping rule of MLPerf's LoadGen: it needs no assumption about the distribution, only
that the samples are independent. Below the smallest sample that allows a bound, a percentile is refused, not guessed.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from daenr_bench.statistics.binomial import log_cdf

CONFIDENCE = 0.99

LEVELS: dict[str, float] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
"""The percentiles that are reported, by name."""

DEFINITION = "nearest rank: sorted[ceil(p * N) - 1], always a value that was measured"
BOUND_DEFINITION = (
    "upper bound of the percentile with 99 % confidence, by the early-stopping rule of MLPerf: the t-th largest value, "
    "t the largest number with P(Binomial(N, 1 - p) <= t) <= 1 %; samples are assumed to be independent"
)

_LARGEST_N = 10**9


@dataclass(frozen=True)
class Percentile:
    """One percentile of a sample.

    Attributes:
        value_ns: by nearest rank, in nanoseconds; None if it was refused.
        upper_bound_ns: what the true percentile exceeds with at most 1 % probability; None if it was refused, or if a
            call that was never answered is at its rank: then there is no bound.
        refused: why it was refused; None if it was not.
    """

    value_ns: int | None
    upper_bound_ns: int | None
    refused: str | None = None


def percentiles(latency_ns: NDArray[np.int64], unanswered: int = 0) -> dict[str, Percentile]:
    """All percentiles of `LEVELS` of a sample in nanoseconds, of any shape.

    Args:
        latency_ns: the sample.
        unanswered: how many calls were due and never answered. They count as slower than all others: leaving them out
            would make an engine look the better the more it drops.
    """
    ascending_ns = np.sort(latency_ns, axis=None)
    return {name: percentile(ascending_ns, level, unanswered) for name, level in LEVELS.items()}


def percentile(ascending_ns: NDArray[np.int64], level: float, unanswered: int = 0) -> Percentile:
    """One percentile with its upper bound.

    Args:
        ascending_ns: the sample `(N,)`, sorted.
        level: e.g. 0.99.
        unanswered: calls that are slower than all of these.
    """
    n = len(ascending_ns) + unanswered
    from_top = rank_from_top(n, level)
    if from_top < 1:
        return Percentile(None, None, f"{n} samples, at least {min_samples(level)} are needed")
    rank = _nearest_rank(n, level)
    if rank > len(ascending_ns):
        return Percentile(None, None, f"{unanswered} of {n} calls were never answered")
    bound = n - from_top
    upper_bound_ns = int(ascending_ns[bound]) if bound < len(ascending_ns) else None
    return Percentile(int(ascending_ns[rank - 1]), upper_bound_ns)


def nearest_rank(ascending_ns: NDArray[np.int64], level: float) -> int:
    """The smallest measured value that at least the share `level` of a sorted sample does not exceed."""
    return int(ascending_ns[_nearest_rank(len(ascending_ns), level) - 1])


def _nearest_rank(n: int, level: float) -> int:
    # Rounded first: 0.95 * 20 is 19.000000000000004 in floating point on some levels, and its ceiling a rank too high.
    return max(math.ceil(round(level * n, 9)), 1)


def rank_from_top(n: int, level: float, confidence: float = CONFIDENCE) -> int:
    """Which of the largest values bounds a percentile from above: t for the t-th largest; below 1 for none.

    Args:
        n: size of the sample.
        level: e.g. 0.99.
        confidence: that the bound holds.
    """
    # Ranks beyond the mean of the binomial have a cumulative probability near one half or above.
    log_cumulative = log_cdf(n, 1 - level, math.ceil(n * (1 - level)))
    return int(np.count_nonzero(log_cumulative <= math.log1p(-confidence))) - 1


@cache
def min_samples(level: float, confidence: float = CONFIDENCE) -> int:
    """The smallest sample whose largest value bounds a percentile from above."""

    def is_enough(n: int) -> bool:
        # P(Binomial(n, 1 - level) <= 1), which falls with n.
        return level ** (n - 1) * (level + n * (1 - level)) <= 1 - confidence

    return bisect.bisect_left(range(_LARGEST_N), True, lo=1, key=is_enough)
