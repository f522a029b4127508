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
        upper_bound_ns: what the true percentile exceeds with at most 1 % probability; None if it was refused.
        refused: why it was refused; None if it was not.
    """

    value_ns: int | None
    upper_bound_ns: int | None
    refused: str | None = None


def percentiles(latency_ns: NDArray[np.int64]) -> dict[str, Percentile]:
    """All percentiles of `LEVELS` of a sample in nanoseconds, of any shape."""
    ascending_ns = np.sort(latency_ns, axis=None)
    return {name: percentile(ascending_ns, level) for name, level in LEVELS.items()}


def percentile(ascending_ns: NDArray[np.int64], level: float) -> Percentile:
    """One percentile with its upper bound.

    Args:
        ascending_ns: the sample `(N,)`, sorted.
        level: e.g. 0.99.
    """
    rank = rank_from_top(len(ascending_ns), level)
    if rank < 1:
        least = min_samples(level)
        return Percentile(None, None, f"{len(ascending_ns)} samples, at least {least} are needed")
    return Percentile(nearest_rank(ascending_ns, level), int(ascending_ns[-rank]))


def nearest_rank(ascending_ns: NDArray[np.int64], level: float) -> int:
    """The smallest measured value that at least the share `level` of a sorted sample does not exceed."""
    # Rounded first: 0.95 * 20 is 19.000000000000004 in floating point on some levels, and its ceiling a rank too high.
    return int(ascending_ns[max(math.ceil(round(level * len(ascending_ns), 9)), 1) - 1])


def rank_from_top(n: int, level: float, confidence: float = CONFIDENCE) -> int:
    """Which of the largest values bounds a percentile from above: t for the t-th largest; below 1 for none.

    Args:
        n: size of the sample.
        level: e.g. 0.99.
        confidence: that the bound holds.
    """
    # Ranks beyond the mean of the binomial have a cumulative probability near one half or above.
    k = np.arange(1, math.ceil(n * (1 - level)) + 1)
    log_ratios = np.log((n - k + 1) / k) + math.log1p(-level) - math.log(level)
    log_probabilities = n * math.log(level) + np.concatenate([[0.0], np.cumsum(log_ratios)])
    log_cumulative = np.logaddexp.accumulate(log_probabilities)
    return int(np.count_nonzero(log_cumulative <= math.log1p(-confidence))) - 1


@cache
def min_samples(level: float, confidence: float = CONFIDENCE) -> int:
    """The smallest sample whose largest value bounds a percentile from above."""

    def is_enough(n: int) -> bool:
        # P(Binomial(n, 1 - level) <= 1), which falls with n.
        return level ** (n - 1) * (level + n * (1 - level)) <= 1 - confidence

    return bisect.bisect_left(range(_LARGEST_N), True, lo=1, key=is_enough)
