"""Figures against SciPy, brute force and simulation: bounds and verdicts hold as often as they say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom, lognorm, theilslopes

from daenr_bench.statistics.age import mean_age, peak_ages
from daenr_bench.statistics.binomial import log_cdf
from daenr_bench.statistics.deadlines import judge_misses, longest_run
from daenr_bench.statistics.histogram import histogram
from daenr_bench.statistics.percentiles import LEVELS, min_samples, percentile, percentiles, rank_from_top
from daenr_bench.statistics.trends import drift, slope
from daenr_bench.statistics.warm_up import has_settled
from daenr_common.verdict import Verdict

RUNS = 4000


def bimodal(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    return np.where(rng.random(shape) < 0.02, 9.0, 1.0) + 0.01 * rng.random(shape)


SAMPLES: dict[str, Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float64]]] = {
    "lognormal": lambda rng, shape: np.exp(2 * rng.standard_normal(shape)),
    "bimodal": bimodal,
    "coarse clock": lambda rng, shape: np.ceil(20 * rng.exponential(size=shape)),
}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize(("level", "n"), [(0.5, 11), (0.5, 1000), (0.9, 64), (0.95, 500), (0.99, 662), (0.99, 1000)])
def test_the_bound_lies_above_the_true_percentile_in_99_of_100_runs(name: str, level: float, n: int) -> None:
    """As many misses as 99 % confidence allows, and no more than chance adds to them in this many runs."""
    rng = np.random.default_rng([n, round(level * 100)])
    runs = SAMPLES[name](rng, (RUNS, n))
    truth = {
        "lognormal": float(lognorm.ppf(level, 2)),
        "bimodal": 1.0 + 0.01 * level / 0.98 if level < 0.98 else 9.0 + 0.01 * (level - 0.98) / 0.02,
        "coarse clock": float(np.ceil(-20 * np.log1p(-level))),
    }[name]
    bounds = np.partition(runs, n - rank_from_top(n, level), axis=1)[:, n - rank_from_top(n, level)]
    missed = int((bounds < truth).sum())
    assert missed <= binom.ppf(0.999, RUNS, 0.01)
    if name == "lognormal" and n >= 500:
        assert missed > 0  # it is no more careful than it says


@pytest.mark.parametrize("frames", [20, 100, 459, 700, 5000])
@pytest.mark.parametrize("share", [0.01, 0.001, 0.2])
def test_a_verdict_on_misses_is_wrong_in_at_most_one_of_100_runs(frames: int, share: float) -> None:
    """Exactly: the probabilities of all counts at which it would be wrong, at the share where that is likeliest."""
    counts = np.arange(frames + 1)
    verdicts = np.array([judge_misses(int(count), frames, share)[0].value for count in counts])
    probability = binom.pmf(counts, frames, share)
    assert probability[verdicts == "pass"].sum() <= 0.01 + 1e-9  # a share just above the allowed one
    assert probability[verdicts == "fail"].sum() <= 0.01 + 1e-9  # just the allowed one
    # More misses never make a better verdict.
    order = [["pass", "cannot tell", "fail"].index(verdict) for verdict in verdicts]
    assert order == sorted(order)


def test_verdicts_on_misses_say_what_was_counted() -> None:
    assert judge_misses(0, 700) == (Verdict.PASS, "0 of 700 frames missed, 0.01 of them may")
    assert judge_misses(0, 100)[0] is Verdict.CANNOT_TELL
    assert judge_misses(0, 0) == (Verdict.CANNOT_TELL, "no frame was due")
    assert judge_misses(360_000, 360_000)[0] is Verdict.FAIL


@pytest.mark.parametrize(("n", "p"), [(1, 0.5), (50, 0.01), (662, 0.01), (10_000, 0.3)])
def test_the_binomial_is_scipys(n: int, p: float) -> None:
    np.testing.assert_allclose(np.exp(log_cdf(n, p, n)), binom.cdf(np.arange(n + 1), n, p), rtol=1e-9, atol=1e-300)


@given(st.lists(st.booleans(), max_size=60))
def test_the_longest_run_is_the_one_a_loop_counts(missed: list[bool]) -> None:
    longest = current = 0
    for miss in missed:
        current = current + 1 if miss else 0
        longest = max(longest, current)
    assert longest_run(np.array(missed, bool)) == longest


def test_the_mean_age_is_its_integral() -> None:
    rng = np.random.default_rng(0)
    due_ns = np.cumsum(rng.integers(1, 4, 50)) * 1000
    end_ns = np.maximum.accumulate(due_ns + rng.integers(100, 2500, 50)) + np.arange(50)
    now = np.arange(end_ns[0], end_ns[-1])
    newest = np.searchsorted(end_ns, now, side="right") - 1
    assert mean_age(due_ns, end_ns) == pytest.approx((now + 0.5 - due_ns[newest]).mean(), rel=1e-12)
    assert peak_ages(due_ns, end_ns).tolist() == [int(end_ns[i + 1] - due_ns[i]) for i in range(49)]
    assert mean_age(due_ns[:1], end_ns[:1]) is None


def test_unanswered_calls_count_as_slower_than_all_others() -> None:
    rng = np.random.default_rng(0)
    for unanswered in (0, 1, 4, 5, 9, 10, 400):
        answered_ns = rng.integers(1000, 5000, 1000 - unanswered)
        never_ns = 10**15
        whole = percentiles(np.concatenate([answered_ns, np.full(unanswered, never_ns)]))
        found = percentiles(answered_ns, unanswered)
        for name, percentile_ in found.items():
            value, bound = (None if x == never_ns else x for x in (whole[name].value_ns, whole[name].upper_bound_ns))
            assert percentile_.value_ns == value
            assert percentile_.upper_bound_ns == (bound if value is not None else None)
            assert (percentile_.refused is None) == (value is not None)


def test_a_sample_of_unanswered_calls_alone_is_refused() -> None:
    assert percentile(np.empty(0, np.int64), 0.5, 20).refused == "20 of 20 calls were never answered"
    assert percentile(np.empty(0, np.int64), 0.5, 5).refused == "5 samples, at least 11 are needed"


@pytest.mark.parametrize("level", LEVELS.values())
def test_the_bound_is_the_one_of_the_early_stopping_rule(level: float) -> None:
    """MLPerf: t is the largest number with P(Binomial(N, 1-p) <= t) <= 1 %; of the slowest, t - 1 are discarded."""
    n = 3 * min_samples(level)
    times_ns = np.random.default_rng(0).permutation(n).astype(np.int64)
    t = max(k for k in range(n) if binom.cdf(k, n, 1 - level) <= 0.01)
    assert percentile(np.sort(times_ns), level).upper_bound_ns == sorted(times_ns)[: n - (t - 1)][-1]


def test_every_time_is_in_its_bucket_of_the_histogram() -> None:
    times_ns = np.random.default_rng(0).lognormal(12, 2, 5000).astype(np.int64)
    times_ns[:3] = 0, 1, 10**14  # more than a day counts as a day
    counted = histogram(times_ns)
    assert sum(counted.counts) == 5000
    edges = np.array([counted.low_ns, counted.high_ns])
    assert (edges[0] <= edges[1]).all()
    assert (edges[0][1:] > edges[1][:-1]).all()
    assert (edges[1] - edges[0] <= np.maximum(edges[0] / 64, 1)).all()
    clipped = np.sort(np.minimum(times_ns, 24 * 3600 * 10**9))
    bucket = np.searchsorted(edges[1], clipped)
    assert (edges[0][bucket] <= clipped).all()
    assert np.bincount(bucket).tolist() == list(counted.counts)


def test_the_slope_is_scipys_theil_sen() -> None:
    rng = np.random.default_rng(0)
    x = np.sort(rng.random(40))
    y = 3 * x + rng.standard_normal(40)
    y[::9] += 1000
    assert slope(x, y) == pytest.approx(theilslopes(y, x).slope)
    assert slope([0.0, 1.0], [0.0, 1.0]) is None


def test_drift_is_the_end_over_the_start() -> None:
    assert drift([100] * 9) is None
    assert drift([100] * 10) == 1.0
    assert drift([100, 100, *[500] * 16, 130, 130]) == 1.3


def test_a_latency_has_settled_when_three_looks_agree() -> None:
    assert not has_settled([100.0, 100.0])
    assert has_settled([900.0, 100.0, 103.0, 105.0])
    assert not has_settled([100.0, 103.0, 106.0])
