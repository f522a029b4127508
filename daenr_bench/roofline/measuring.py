"""How fast a core does something at its best: the same work again and again, in short rounds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from daenr_bench.roofline.document import Rate

ROUND_NS = 1_000_000
"""A round is short, so that some pass between two interruptions, and long against reading the clock."""

ROUNDS = 25


class Meter:
    """Times rounds of the same work.

    Args:
        work: does its work so many times, and returns how much that was, in any unit.
        clock: in nanoseconds.
    """

    def __init__(self, work: Callable[[int], float], clock: Callable[[], int] = time.perf_counter_ns) -> None:
        self._work = work
        self._clock = clock
        self._repeats = 1
        self._per_s: list[float] = []

    def measure(self, rounds: int = ROUNDS) -> None:
        """Time rounds, with as many repeats as make one long enough; more calls add more rounds."""
        # The shorter of two, because an interruption makes a round look long enough.
        while not self._per_s and min(self._round()[1], self._round()[1]) < ROUND_NS:
            self._repeats *= 2
        for _ in range(rounds):
            amount, elapsed_ns = self._round()
            self._per_s.append(amount / elapsed_ns * 1e9)

    @property
    def rate(self) -> Rate:
        """The best round, which the fewest other programs disturbed, and how far the others were from it."""
        rates = self._per_s
        return Rate(max(rates), statistics.median(rates), min(rates), len(rates))

    def _round(self) -> tuple[float, int]:
        start_ns = self._clock()
        amount = self._work(self._repeats)
        return amount, max(self._clock() - start_ns, 1)
