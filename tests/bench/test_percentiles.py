"""Percentiles against closed forms, and their bounds against scipy and the published smallest samples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from daenr_bench.statistics.percentiles import LEVELS, min_samples, nearest_rank, percentile, percentiles, rank_from_top


def upto(n: int) -> np.ndarray:
    return np.arange(1, n + 1, dtype=np.int64)


@pytest.mark.parametrize(
    ("n", "level", "expected"),
    [(1, 0.99, 1), (2, 0.5, 1), (3, 0.5, 2), (100, 0.99, 99), (101, 0.99, 100), (20, 0.95, 19), (1000, 0.999, 999)],
)
def test_nearest_rank(n: int, level: float, expected: int) -> None:
    assert nearest_rank(upto(n), level) == expected


@pytest.mark.parametrize("level", LEVELS.values())
def test_nearest_rank_is_the_smallest_value_that_covers_the_share(level: float) -> None:
    values = upto(1)
    for n in range(1, 1200):
        values = upto(n)
        # In thousandths, so that the definition is checked in whole numbers.
        covering = next(rank for rank in range(int(level * n) - 1, n + 1) if rank * 1000 >= round(level * 1000) * n)
        assert nearest_rank(values, level) == max(covering, 1)


@pytest.mark.parametrize("level", [*LEVELS.values(), 0.9999])
@pytest.mark.parametrize("n", [1, 2, 11, 63, 64, 130, 661, 662, 1000, 2009, 2010, 20140, 50_000])
def test_the_rank_of_the_bound_is_the_one_of_scipys_binomial(n: int, level: float) -> None:
    t = np.arange(n + 1)
    allowed = t[binom.cdf(t, n, 1 - level) <= 0.01]
    assert rank_from_top(n, level) == (allowed.max() if allowed.size else -1)


@pytest.mark.parametrize(
    ("level", "for_one", "for_ten"),
    [(0.5, 11, 35), (0.9, 64, 197), (0.95, 130, 398), (0.99, 662, 2010), (0.999, 6636, 20140), (0.9999, 66381, 201442)],
)
def test_the_published_smallest_samples(level: float, for_one: int, for_ten: int) -> None:
    assert min_samples(level) == for_one
    assert rank_from_top(for_one, level) == 1
    assert rank_from_top(for_one - 1, level) < 1
    assert (rank_from_top(for_ten - 1, level), rank_from_top(for_ten, level)) == (9, 10)


@pytest.mark.parametrize("level", LEVELS.values())
def test_below_the_smallest_sample_a_percentile_is_refused_with_the_reason(level: float) -> None:
    least = min_samples(level)
    refused = percentile(upto(least - 1), level)
    assert (refused.value_ns, refused.upper_bound_ns) == (None, None)
    assert refused.refused == f"{least - 1} samples, at least {least} are needed"
    allowed = percentile(upto(least), level)
    assert allowed.refused is None
    assert allowed.upper_bound_ns == least  # the largest


def test_of_a_thousand_samples_in_any_order_and_shape() -> None:
    samples = np.random.default_rng(0).permutation(upto(1000)).reshape(10, 100)
    found = percentiles(samples)
    assert {name: p.value_ns for name, p in found.items()} == {
        "p50": 500, "p90": 900, "p95": 950, "p99": 990, "p99.9": None,
    }  # fmt: skip
    assert found["p99"].upper_bound_ns == 1001 - rank_from_top(1000, 0.99)
    assert all(p.upper_bound_ns >= p.value_ns for p in found.values() if p.value_ns is not None)
