"""Age of information: how old the image behind the newest answer is, counted from when the image was due.

Between two answers it grows with time; right before an answer it is at its peak. A loop that acts on the newest answer
at any time acts on images of this age. (Kaul, Yates and Gruteser, INFOCOM 2012; peak age: Costa et al., 2016.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def peak_ages(due_ns: NDArray[np.int64], end_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Age right before each answer but the first.

    Args:
        due_ns: when the answered frames were due `(N,)`, ascending.
        end_ns: when their answers came.
    """
    return end_ns[1:] - due_ns[:-1]


def mean_age(due_ns: NDArray[np.int64], end_ns: NDArray[np.int64]) -> float | None:
    """Age averaged over the time from the first answer to the last; None below two answers."""
    if len(end_ns) < 2:
        return None
    fresh = (end_ns - due_ns)[:-1].astype(np.float64)
    peak = peak_ages(due_ns, end_ns).astype(np.float64)
    return float(((peak**2 - fresh**2) / 2).sum() / float(end_ns[-1] - end_ns[0]))
