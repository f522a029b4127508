"""The binomial distribution, as far as bounds and verdicts need it, without SciPy: a rig has none."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def log_cdf(n: int, p: float, up_to: int) -> NDArray[np.float64]:
    """Logarithms of P(Binomial(n, p) <= k) for k from 0 to `up_to`, in one array.

    Args:
        n: trials.
        p: probability of each, above 0 and below 1.
        up_to: at most `n`.
    """
    k = np.arange(1, up_to + 1)
    log_ratios = np.log((n - k + 1) / k) + math.log(p) - math.log1p(-p)
    log_probabilities = n * math.log1p(-p) + np.concatenate([[0.0], np.cumsum(log_ratios)])
    return np.minimum(np.logaddexp.accumulate(log_probabilities), 0.0)
