"""Whether figures change over a long time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_FEWEST_BLOCKS = 10
_FEWEST_POINTS = 3


def drift(medians_ns: Sequence[int]) -> float | None:
    """Median over the last tenth of the blocks over that of the first tenth; None below ten blocks."""
    if len(medians_ns) < _FEWEST_BLOCKS:
        return None
    tenth = len(medians_ns) // 10
    return float(np.median(medians_ns[-tenth:]) / max(float(np.median(medians_ns[:tenth])), 1.0))


def slope(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Change of `y` with `x` by the Theil-Sen estimator, which wild values do not move; None below three points."""
    if len(x) < _FEWEST_POINTS:
        return None
    first, second = np.triu_indices(len(x), k=1)
    run = np.subtract.outer(x, x)[first, second]
    rise = np.subtract.outer(y, y)[first, second]
    return float(np.median(rise[run != 0] / run[run != 0]))
