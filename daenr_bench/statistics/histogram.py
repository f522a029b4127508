"""Histograms of latencies by the package hdrhistogram: buckets grow with the latency, and a tail keeps its shape."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from daenr_bench.measurement import Histogram
from daenr_common.extras import require

SIGNIFICANT_DIGITS = 2
_LARGEST_NS = 24 * 3600 * 10**9


def require_hdrhistogram() -> Any:
    """The package, so that its absence is noticed before anything is measured.

    Raises:
        MissingExtraError: it is not installed.
    """
    return require("hdrh.histogram", extra="bench", purpose="the histograms of latencies")


def histogram(times_ns: NDArray[np.int64]) -> Histogram:
    """The histogram of times in nanoseconds, of any shape; what is above a day counts as a day."""
    counted = require_hdrhistogram().HdrHistogram(1, _LARGEST_NS, SIGNIFICANT_DIGITS)
    values, counts = np.unique(np.clip(times_ns, 0, _LARGEST_NS), return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        counted.record_value(value, count)
    buckets = [(item.value_iterated_to, item.count_added_in_this_iter_step) for item in counted.get_recorded_iterator()]
    return Histogram(
        significant_digits=SIGNIFICANT_DIGITS,
        low_ns=tuple(int(counted.get_lowest_equivalent_value(high)) for high, _ in buckets),
        high_ns=tuple(int(high) for high, _ in buckets),
        counts=tuple(int(count) for _, count in buckets),
    )
