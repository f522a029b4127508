"""How much slower HEAD is than BASE, with a bootstrap interval. Whole rounds are resampled, never calls.

Calls within a round are correlated: a processor that slows down or a neighbour that wakes up hits all of them.
Resampled one by one, they would give an interval that is far too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from daenr_bench.comparison.student import small_sample_factor

Values = NDArray[np.float64]

RESAMPLES = 10_000
TRIMMED = 0.2
"""Share of the rounds that is left out at either end: those in which something else hit one of the two."""

_CHUNK = 500


@final
@dataclass(frozen=True)
class Interval:
    """HEAD over BASE, and between which values it lies with the confidence that was asked for."""

    ratio: float
    low: float
    high: float


def trimmed_mean(values: Values) -> Values:
    """The mean over the last axis without the smallest and the largest fifth."""
    n = values.shape[-1]
    left_out = int(TRIMMED * n)
    kept: Values = np.sort(values, axis=-1)[..., left_out : n - left_out]
    return np.asarray(kept.mean(axis=-1))


def of_medians(base_ns: Values, head_ns: Values, confidence: float, *, paired: bool, seed: int = 0) -> Interval:
    """The ratio of typical medians: the trimmed geometric mean over rounds.

    Args:
        base_ns: median of each round `(n,)`.
        head_ns: the same of HEAD; `(n,)` if paired, else of any length.
        confidence: of the interval.
        paired: whether round k of both was measured at the same time. Then each round's ratio is a value of its own,
            and what the machine did in a round cancels.
        seed: of the resampling.
    """
    draw = np.random.default_rng(seed)
    if paired:
        ratios = np.log(head_ns) - np.log(base_ns)
        resampled = trimmed_mean(ratios[draw.integers(len(ratios), size=(RESAMPLES, len(ratios)))])
        return _widened(float(trimmed_mean(ratios)), resampled, confidence, len(ratios))
    base, head = np.log(base_ns), np.log(head_ns)
    resampled_base, resampled_head = (
        trimmed_mean(values[draw.integers(len(values), size=(RESAMPLES, len(values)))]) for values in (base, head)
    )
    estimate = float(trimmed_mean(head) - trimmed_mean(base))
    return _widened(estimate, resampled_head - resampled_base, confidence, min(len(base), len(head)))


def of_percentiles(
    base_ns: Sequence[Values],
    head_ns: Sequence[Values],
    level: float,
    confidence: float,
    *,
    paired: bool,
    seed: int = 0,
) -> Interval:
    """The ratio of a percentile over all calls.

    Args:
        base_ns: the calls of each round.
        head_ns: the same of HEAD; as many rounds if paired.
        level: e.g. 0.99.
        confidence: of the interval.
        paired: whether rounds are resampled together.
        seed: of the resampling.
    """
    draw = np.random.default_rng(seed)
    base, head = _percentile_of(base_ns, level), _percentile_of(head_ns, level)
    counts = [_counts(draw, len(rounds)) for rounds in (base_ns, head_ns)]
    resampled = head(counts[0] if paired else counts[1]) - base(counts[0])
    estimate = float(head(np.ones((1, len(head_ns)), np.int64))[0] - base(np.ones((1, len(base_ns)), np.int64))[0])
    return _widened(estimate, resampled, confidence, min(len(base_ns), len(head_ns)))


def _counts(draw: np.random.Generator, rounds: int) -> NDArray[np.int64]:
    """How often each round is drawn, `(resamples, rounds)`."""
    return draw.multinomial(rounds, np.full(rounds, 1 / rounds), size=RESAMPLES)


def _percentile_of(rounds_ns: Sequence[Values], level: float) -> Callable[[NDArray[np.int64]], Values]:
    """From how often each round is drawn, to the logarithm of the percentile of all calls by nearest rank."""
    calls = np.concatenate(rounds_ns)
    order = np.argsort(calls)[::-1]
    number_of_round = np.repeat(np.arange(len(rounds_ns)), [len(calls) for calls in rounds_ns])[order]
    descending = np.log(calls[order])
    sizes = np.array([len(calls) for calls in rounds_ns])
    # Beyond this many calls from the top no percentile lies, unless one round is drawn for nearly all.
    top = min(len(calls), max(int(10 * (1 - level) * len(calls)), 1))

    def percentile(counts: NDArray[np.int64]) -> Values:
        found = []
        for first in range(0, len(counts), _CHUNK):
            drawn = counts[first : first + _CHUNK]
            above = np.cumsum(drawn[:, number_of_round[:top]], axis=1)
            total = drawn @ sizes
            wanted = total - np.ceil(np.round(level * total, 9)).astype(np.int64) + 1
            found.append(descending[np.minimum((above < wanted[:, None]).sum(axis=1), top - 1)])
        return np.concatenate(found)

    return percentile


def _widened(estimate: float, resampled: Values, confidence: float, n: int) -> Interval:
    """The percentile interval, as much wider as `n` rounds make it too narrow."""
    outside = (1 - confidence) / 2
    factor = small_sample_factor(1 - outside, n)
    low, high = (estimate + factor * (edge - estimate) for edge in np.quantile(resampled, [outside, 1 - outside]))
    return Interval(float(np.exp(estimate)), float(np.exp(min(low, estimate))), float(np.exp(max(high, estimate))))
