from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from daenr_bench.paper.statistics import estimate, holm, paired_test


def test_the_interval_is_student_s() -> None:
    # Student (1908), "The probable error of a mean", Biometrika 6: hours of sleep gained with the second drug
    hours = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = estimate(hours)
    low, high = stats.t.interval(0.95, 9, np.mean(hours), stats.sem(hours))
    assert found.half_width is not None
    assert (found.mean - found.half_width, found.mean + found.half_width) == pytest.approx((low, high))
    assert (low, high) == pytest.approx((0.8976775, 3.7623225))  # as R prints it


def test_one_value_has_no_interval() -> None:
    assert estimate([0.5]).half_width is None


def test_the_test_is_the_paired_t_test() -> None:
    # the same paper: both drugs; R's t.test(extra ~ group, data = sleep, paired = TRUE)
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = paired_test(first, second)
    assert found.p == pytest.approx(0.002833, abs=5e-7)
    assert found.difference.mean == pytest.approx(-1.58)
    assert found.difference.half_width == pytest.approx((2.4598858 - 0.7001142) / 2)


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ([0.1], [0.2], "1 pair, a test needs 3"),
        ([0.1, 0.3], [0.2, 0.1], "2 pairs, a test needs 3"),
        ([1.0, 2.0, 3.0], [0.0, 1.0, 2.0], "all pairs differ by the same"),
        ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], "all pairs differ by the same"),
        ([0.3, 0.2, 0.1 + 0.2], [0.2, 0.1, 0.2], "all pairs differ by the same"),  # but for rounding
    ],
)
def test_what_cannot_be_told(first: list[float], second: list[float], reason: str) -> None:
    found = paired_test(first, second)
    assert found.p is None
    assert found.reason == reason
    assert found.difference.mean == pytest.approx(np.mean(first) - np.mean(second))


def test_holm_is_as_published() -> None:
    # Holm (1979) and R's p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([0.04, 0.01, 0.03, 0.005]) == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_rejects_what_its_steps_reject(p_values: list[float]) -> None:
    level, ordered = 0.05, sorted(p_values)
    stop = next((k for k, p in enumerate(ordered) if p > level / (len(ordered) - k)), len(ordered))
    rejected = set(ordered[:stop])
    for p, corrected in zip(p_values, holm(p_values), strict=True):
        assert p <= corrected <= 1
        if not math.isclose(corrected, level, rel_tol=1e-9):
            assert (corrected <= level) == (p in rejected)
