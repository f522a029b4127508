"""The intervals against SciPy, brute force and simulation; the verdicts at their limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from daenr_bench.comparison import Criteria, Effect, intervals, student
from daenr_bench.comparison.effect import judge
from daenr_bench.comparison.intervals import Interval, Values, of_medians, of_percentiles
from daenr_bench.comparison.looks import Looks


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 9, 10, 49, 50])
@pytest.mark.parametrize("probability", [0.5, 0.9, 0.975, 0.995, 0.9995])
def test_quantiles_of_student_s_t_are_scipy_s(probability: float, degrees: int) -> None:
    expected = stats.t.ppf(probability, degrees)
    assert student.quantile(probability, degrees) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_the_trimmed_mean_is_scipy_s() -> None:
    values = np.random.default_rng(0).standard_cauchy((3, 23))
    expected = stats.trim_mean(values, intervals.TRIMMED, axis=1)
    np.testing.assert_allclose(intervals.trimmed_mean(values), expected, rtol=1e-12)


NOISES = {
    "normal": lambda draw, n: draw.normal(0, 0.03, n),
    "heavy tails": lambda draw, n: 0.02 * draw.standard_t(2, n),
    "neighbours": lambda draw, n: draw.normal(0, 0.02, n) + (draw.random(n) < 0.2) * draw.normal(0, 0.3, n),
}


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("n", [5, 10, 34])
@pytest.mark.parametrize("paired", [True, False])
def test_the_interval_of_the_median_covers(noise: str, n: int, paired: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 95 %, in 400 simulations: at most 32 misses are expected in 99.5 % of all cases."""
    monkeypatch.setattr(intervals, "RESAMPLES", 800)
    draw = np.random.default_rng([n, paired])
    missed = 0
    for seed in range(400):
        base, head = (100_000 * np.exp(NOISES[noise](draw, n)) for _ in range(2))
        found = of_medians(base, head, 0.95, paired=paired, seed=seed)
        missed += not found.low <= 1 <= found.high
    assert missed <= 32


def brute_force(base: list[Values], head: list[Values], level: float, resamples: int) -> tuple[float, float]:
    draw = np.random.default_rng(1)
    ratios = []
    for _ in range(resamples):
        drawn = draw.integers(len(base), size=len(base))
        both = (np.quantile(np.concatenate([r[i] for i in drawn]), level, method="inverted_cdf") for r in (base, head))
        first, second = both
        ratios.append(np.log(second / first))
    low, high = np.quantile(ratios, [0.05, 0.95])
    return float(low), float(high)


def test_the_interval_of_p99_is_that_of_resampling_whole_rounds() -> None:
    draw = np.random.default_rng(0)
    base = [draw.exponential(1.0, 200) * draw.lognormal(0, 0.2) for _ in range(12)]
    head = [1.1 * draw.exponential(1.0, 200) for _ in range(12)]
    found = of_percentiles(base, head, 0.99, 0.90, paired=True)
    estimate = np.log(found.ratio)
    factor = student.small_sample_factor(0.95, 12)
    low, high = ((np.log(edge) - estimate) / factor + estimate for edge in (found.low, found.high))
    pooled = [np.quantile(np.concatenate(rounds), 0.99, method="inverted_cdf") for rounds in (base, head)]
    assert found.ratio == pytest.approx(pooled[1] / pooled[0])
    assert (low, high) == pytest.approx(brute_force(base, head, 0.99, 3000), abs=0.03)


@given(st.floats(0.2, 5), st.floats(0, 1), st.floats(0, 1), st.floats(0.001, 1))
def test_exchanging_both_exchanges_faster_and_slower(ratio: float, below: float, above: float, margin: float) -> None:
    interval = Interval(ratio, ratio / (1 + below), ratio * (1 + above))
    exchanged = Interval(1 / ratio, 1 / interval.high, 1 / interval.low)
    mirrored = {Effect.SLOWER: Effect.FASTER, Effect.FASTER: Effect.SLOWER}
    limits = np.array([1 + margin, 1 / (1 + margin)])
    if not np.isclose(np.array([[interval.low], [interval.high]]), limits, rtol=1e-12).any():
        found = judge(interval, margin)
        assert judge(exchanged, margin) is mirrored.get(found, found)


@pytest.mark.parametrize(
    ("low", "high", "effect"),
    [
        (0.96, 1.04, Effect.SAME),
        (1.01, 1.04, Effect.SAME),
        (1.01, 1.06, Effect.CANNOT_TELL),
        (1.06, 1.20, Effect.SLOWER),
        (0.90, 0.94, Effect.FASTER),
        (0.90, 0.96, Effect.CANNOT_TELL),
        (0.50, 2.00, Effect.CANNOT_TELL),
    ],
)
def test_the_interval_decides(low: float, high: float, effect: Effect) -> None:
    assert judge(Interval((low * high) ** 0.5, low, high), 0.05) is effect


def test_the_floor_is_a_margin_for_fast_engines() -> None:
    criteria = Criteria(margin=0.05, floor_ns=5000)
    assert [criteria.margin_at(ns) for ns in (20_000, 100_000, 1_000_000)] == [0.25, 0.05, 0.05]


def test_looks_are_planned_and_paid_for() -> None:
    assert Looks(10).at == (10, 15, 23, 34, 51)
    assert Looks(5).at == (5, 8, 12, 17, 26)
    assert Looks(10).confidence == pytest.approx(0.99)
    assert Looks(10, pairs=5).confidence == pytest.approx(0.998)
