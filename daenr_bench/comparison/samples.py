"""The samples of a pair, round by round, and the lines that come of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from daenr_bench.comparison.document import Line
from daenr_bench.comparison.effect import Criteria, Effect, judge
from daenr_bench.comparison.intervals import Interval, Values, of_medians, of_percentiles, trimmed_mean
from daenr_bench.statistics.percentiles import min_samples

FEWEST_ROUNDS = 5
TAIL, TAIL_LEVEL = "p99", 0.99
_SHORTEST_NS = 1.0
_NEARLY = 1 - 1e-9  # a mean of logarithms of equal times is not quite their own


@dataclass
class Samples:
    """Latencies in nanoseconds.

    Attributes:
        base_ns: the calls of each round `(calls,)`.
        head_ns: the same of HEAD.
        paired: whether round k of both was measured at the same time.
        unanswered_ns: what a frame counts as that was never answered: the period, which it took at least; None where
            every call is answered.
    """

    base_ns: list[Values] = field(default_factory=list)
    head_ns: list[Values] = field(default_factory=list)
    paired: bool = True
    unanswered_ns: float | None = None

    @property
    def rounds(self) -> int:
        """Of the one that has fewer."""
        return min(len(self.base_ns), len(self.head_ns))

    @property
    def calls(self) -> int:
        """Timed calls, of the one that has fewer."""
        return min(sum(map(len, self.base_ns)), sum(map(len, self.head_ns)))

    def medians(self) -> tuple[Values, Values]:
        """Of each round, of BASE and of HEAD."""
        return _medians(self.base_ns), _medians(self.head_ns)

    def lines(self, criteria: Criteria, confidence: float, *, tail: str | None = None) -> tuple[Line, ...]:
        """The median, then p99. None without samples.

        Args:
            criteria: what counts as a difference.
            confidence: of each interval.
            tail: why there is no p99; None to judge it.
        """
        if not self.rounds:
            return ()
        return self.median(criteria, confidence), self._tail(criteria, confidence, tail)

    def median(self, criteria: Criteria, confidence: float) -> Line:
        """The line of p50: how a typical round compares."""
        base_ns, head_ns = self.medians()
        typical = [float(np.exp(trimmed_mean(np.log(medians)))) for medians in (base_ns, head_ns)]
        if self.rounds < FEWEST_ROUNDS:
            reason = f"{self.rounds} rounds, at least {FEWEST_ROUNDS} are needed"
            return Line("p50", Effect.CANNOT_TELL.value, reason, *typical)
        interval = of_medians(base_ns, head_ns, confidence, paired=self.paired)
        return self._line("p50", typical, interval, criteria)

    def _tail(self, criteria: Criteria, confidence: float, refused: str | None) -> Line:
        needed = min_samples(TAIL_LEVEL)
        if refused is None and self.calls < needed:
            refused = f"{self.calls} samples, at least {needed} are needed"
        if refused is None and self.rounds < FEWEST_ROUNDS:
            refused = f"{self.rounds} rounds, at least {FEWEST_ROUNDS} are needed"
        if refused is not None:
            return Line(TAIL, Effect.CANNOT_TELL.value, refused)
        figures = [
            float(np.quantile(np.concatenate(rounds), TAIL_LEVEL, method="inverted_cdf"))
            for rounds in (self.base_ns, self.head_ns)
        ]
        interval = of_percentiles(self.base_ns, self.head_ns, TAIL_LEVEL, confidence, paired=self.paired)
        return self._line(TAIL, figures, interval, criteria)

    def _line(self, figure: str, figures_ns: Sequence[float], interval: Interval, criteria: Criteria) -> Line:
        base_ns, head_ns = figures_ns
        margin = criteria.margin_at(base_ns)
        effect = judge(interval, margin)
        reason = ""
        if effect is Effect.CANNOT_TELL:
            reason = "the interval holds a limit: the machine is too noisy for so few rounds, or the effect is near it"
        if self.unanswered_ns is not None and min(base_ns, head_ns) > self.unanswered_ns * _NEARLY:
            effect, reason = Effect.CANNOT_TELL, "neither answers before the next frame is due; choose a lower rate"
        return Line(figure, effect.value, reason, base_ns, head_ns, interval.ratio, interval.low, interval.high, margin)


def _medians(rounds_ns: Sequence[Values]) -> Values:
    return np.array([max(float(np.median(calls)), _SHORTEST_NS) for calls in rounds_ns])
