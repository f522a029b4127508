"""The four verdicts on speed, and how an interval becomes one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from daenr_bench.comparison.intervals import Interval
from daenr_common.verdict import Verdict


class Effect(Enum):
    """What HEAD is, compared with BASE."""

    FASTER = "faster"
    SAME = "same"
    SLOWER = "slower"
    CANNOT_TELL = "cannot tell"

    @property
    def verdict(self) -> Verdict:
        """A gate lets *faster* and *same* pass."""
        return {Effect.SLOWER: Verdict.FAIL, Effect.CANNOT_TELL: Verdict.CANNOT_TELL}.get(self, Verdict.PASS)


@dataclass(frozen=True)
class Criteria:
    """What counts as a difference: one that exceeds both.

    Attributes:
        margin: as a share, e.g. 0.05.
        floor_ns: as a time.
    """

    margin: float = 0.05
    floor_ns: float = 5000.0

    def margin_at(self, base_ns: float) -> float:
        """The share that counts, for a BASE that takes so long."""
        return max(self.margin, self.floor_ns / max(base_ns, 1.0))


def judge(interval: Interval, margin: float) -> Effect:
    """SLOWER above 1 + margin, FASTER below its inverse, SAME between them; CANNOT_TELL if a limit is in the interval.

    The limits are inverse to each other, so that exchanging BASE and HEAD exchanges faster and slower.
    """
    slower, faster = 1 + margin, 1 / (1 + margin)
    if interval.low > slower:
        return Effect.SLOWER
    if interval.high < faster:
        return Effect.FASTER
    if faster <= interval.low and interval.high <= slower:
        return Effect.SAME
    return Effect.CANNOT_TELL
