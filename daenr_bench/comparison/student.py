"""Quantiles of Student's t distribution without SciPy, which a rig does not have."""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist

_LARGEST = 1e6


def cdf(t: float, degrees: int) -> float:
    """P(T <= t) for a whole number of degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    theta = math.atan(t / math.sqrt(degrees))
    cosine_squared = math.cos(theta) ** 2
    # The terms' factors are 2/3, 4/5, … for odd degrees of freedom and 1/2, 3/4, … for even ones.
    odd = degrees % 2
    term = total = math.sin(theta) * (math.cos(theta) if odd else 1.0)
    for k in range(2 + odd, degrees, 2):
        term *= cosine_squared * (k - 1) / k
        total += term
    if not odd:
        return 0.5 + total / 2
    return 0.5 + (theta + (total if degrees > 1 else 0.0)) / math.pi


@cache
def quantile(probability: float, degrees: int) -> float:
    """The t that a share `probability` of the distribution does not exceed.

    Args:
        probability: from 0.5 on, below 1.
        degrees: of freedom, at least 1.
    """
    low, high = 0.0, _LARGEST
    while high - low > 1e-9 * max(low, 1.0):
        middle = (low + high) / 2
        low, high = (middle, high) if cdf(middle, degrees) < probability else (low, middle)
    return (low + high) / 2


def small_sample_factor(probability: float, n: int) -> float:
    """How much too narrow a percentile bootstrap over `n` values is: it takes the normal's z for t, and n for n - 1.

    See T. Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69 (2015).
    """
    z = NormalDist().inv_cdf(probability)
    return quantile(probability, n - 1) / z * math.sqrt(n / (n - 1))
