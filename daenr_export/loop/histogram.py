"""Latencies of a run of any length, in memory of constant size."""

from __future__ import annotations

from array import array
from typing import final

_BITS = 6  # 64 steps to each doubling: a value is known to 1/64 of itself
_STEPS = 1 << _BITS

FEWEST = {0.50: 11, 0.99: 662}
"""The smallest sample that bounds a percentile with 99 % confidence, as `daenr_bench.statistics.percentiles` has it."""


@final
class LatencyHistogram:
    """Counts of latencies in steps that grow with them, as in HdrHistogram: 30 KiB, whatever is added."""

    def __init__(self) -> None:
        self._counts = array("q", bytes(8 * (64 - _BITS + 1) * _STEPS))
        self.total = 0

    def add(self, latency_ns: int) -> None:
        """Count one latency; a negative one counts as 0."""
        value = max(latency_ns, 0)
        shift = max(value.bit_length() - _BITS - 1, 0)
        # value >> shift is below 128, and from 64 once shift > 0: each doubling's steps follow the last's.
        self._counts[(shift << _BITS) + (value >> shift)] += 1
        self.total += 1

    def percentile(self, level: float) -> int | None:
        """The percentile by nearest rank, in nanoseconds, rounded up to its step.

        Args:
            level: 0.5 or 0.99.

        Returns:
            None where there are too few latencies to tell.
        """
        if self.total < FEWEST[level]:
            return None
        left = -(-self.total * round(level * 100) // 100)
        for index, count in enumerate(self._counts):
            left -= count
            if left <= 0:
                shift = max((index >> _BITS) - 1, 0)
                return ((index - (shift << _BITS) + 1) << shift) - 1
        raise AssertionError("a rank lies within the sample")
