"""Means with intervals over seeds, paired tests over seeds, and Holm's correction.

A seed decides split, initial weights and the order of images together, so what varies between seeds is the fitting.
The test images, the neurons and the animals are the same in all of them: nothing here speaks of other animals.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from daenr_common.extras import require

CONFIDENCE = 0.95
LEVEL = 0.05
"""Of a test after the correction."""

ROUNDING = 1e-9
"""Differences that vary by less than this share of the values do not vary."""

FEWEST_PAIRS = 3
"""Two differences leave one degree of freedom, and no way to see that they are odd."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        n: values.
        mean: of them.
        half_width: of the interval that holds the expected value with 95 % confidence, by Student's t with n - 1
            degrees of freedom; None for a single value, which has no spread.
    """

    n: int
    mean: float
    half_width: float | None


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and interval of at least one value.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    n, mean = len(values), statistics.fmean(values)
    if n == 1:
        return Estimate(1, mean, None)
    t = float(_scipy().t.ppf((1 + CONFIDENCE) / 2, n - 1))
    return Estimate(n, mean, t * statistics.stdev(values) / math.sqrt(n))


@dataclass(frozen=True)
class PairedTest:
    """What pairs say of a difference.

    Attributes:
        difference: first less second.
        p: two-sided p-value of Student's paired t-test; None if it cannot be told.
        reason: why it cannot; empty if it can.
    """

    difference: Estimate
    p: float | None
    reason: str


def paired_test(first: Sequence[float], second: Sequence[float]) -> PairedTest:
    """Compare values pair by pair; at least one pair.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    differences = [one - other for one, other in zip(first, second, strict=True)]
    difference = estimate(differences)
    if len(differences) < FEWEST_PAIRS:
        pairs = "1 pair" if len(differences) == 1 else f"{len(differences)} pairs"
        return PairedTest(difference, None, f"{pairs}, a test needs {FEWEST_PAIRS}")
    largest = max(map(abs, (*first, *second)))
    if max(differences) - min(differences) <= ROUNDING * largest:
        return PairedTest(difference, None, "all pairs differ by the same")
    return PairedTest(difference, float(_scipy().ttest_rel(first, second).pvalue), "")


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number, in the same order (S. Holm, Scandinavian Journal of Statistics 6, 1979)."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min((len(p_values) - rank) * p_values[index], 1.0))
        corrected[index] = largest
    return corrected


def _scipy() -> Any:
    return require("scipy.stats", extra="train", purpose="intervals and tests")
