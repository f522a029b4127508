"""The paper's claims as paired tests: a joint model against its baseline, seed by seed."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

from daenr_bench.paper.experiment import Experiment
from daenr_bench.paper.layouts import Layout, Spot
from daenr_bench.paper.metrics import Metric
from daenr_bench.paper.statistics import LEVEL, Estimate, holm, paired_test
from daenr_common.verdict import Verdict

Scope = Literal["claim", "cell"]
Pairs = dict[int, tuple[float, float]]
"""Scores of a cell and of its baseline, by seed."""


class Outcome(Enum):
    """What a test came to."""

    SHOWN = "shown"
    OPPOSITE = "the opposite"
    NOT_SHOWN = "not shown"
    CANNOT_TELL = "cannot tell"

    @property
    def verdict(self) -> Verdict:
        """For marks: a difference that is not shown is neither a pass nor a fail."""
        return {Outcome.SHOWN: Verdict.PASS, Outcome.OPPOSITE: Verdict.FAIL}.get(self, Verdict.CANNOT_TELL)


@dataclass(frozen=True)
class Comparison:
    """A question to a sweep: are these cells better than their baselines?

    Attributes:
        table: the layout's ident.
        scope: a `claim` takes regions and layers together, a `cell` is one alone.
        says: who is compared with whom, or for a cell its row and column.
        metric: in what.
        spots: the cells, each with a baseline.
    """

    table: str
    scope: Scope
    says: str
    metric: Metric
    spots: tuple[Spot, ...]


@dataclass(frozen=True)
class Finding:
    """The answer.

    Attributes:
        comparison: the question.
        seeds: that have finished in all cells that are compared.
        compared: how many of the cells are compared: those of which at least one seed has finished.
        first: mean of the cells; None without a seed.
        second: mean of their baselines.
        difference: first less second, over seeds.
        p: two-sided; None if it cannot be told.
        p_holm: corrected for all that was tested in the same table and scope.
        outcome: what that means for the claim.
        reason: why it cannot be told, or what is left out; may be empty.
    """

    comparison: Comparison
    seeds: tuple[int, ...]
    compared: int
    first: float | None
    second: float | None
    difference: Estimate | None
    p: float | None
    p_holm: float | None
    outcome: Outcome
    reason: str


def claims(layout: Layout) -> list[Comparison]:
    """One for each pair of families and each metric, over all regions and layers of a table."""
    groups: dict[tuple[str, Metric], list[Spot]] = {}
    for spot in layout.spots:
        if spot.against is not None:
            groups.setdefault((spot.family, spot.metric), []).append(spot)
    return [
        Comparison(layout.ident, "claim", family, metric, tuple(spots)) for (family, metric), spots in groups.items()
    ]


def cells(layout: Layout) -> list[Comparison]:
    """One for each cell that has a baseline."""
    return [
        Comparison(layout.ident, "cell", f"{row.title}, {spot.column}", spot.metric, (spot,))
        for row in layout.rows
        for spot in row.spots
        if spot.against is not None
    ]


def find(comparisons: Sequence[Comparison], experiment: Experiment) -> list[Finding]:
    """Test comparisons of one table, corrected for their number.

    The unit is the seed. A difference is taken between fits of the same seed, region and layer; those of a seed are
    averaged, since they share baselines and test images and are not so many independent ones.

    Raises:
        DaenrError: the scores of a finished run are missing or damaged.
        MissingExtraError: SciPy is not installed.
    """
    found = [_find(comparison, experiment) for comparison in comparisons]
    tested = [finding for finding in found if finding.p is not None]
    corrected = dict(zip(map(id, tested), holm([f.p for f in tested if f.p is not None]), strict=True))
    return [_judged(finding, corrected.get(id(finding))) for finding in found]


def _find(comparison: Comparison, experiment: Experiment) -> Finding:
    scores = _scores(comparison, experiment)
    seeds = sorted(set.intersection(*map(set, scores))) if scores else []
    if not seeds:
        reason = "no seed has finished in all that is compared" if scores else "no seed has finished in both"
        return Finding(comparison, (), len(scores), None, None, None, None, None, Outcome.CANNOT_TELL, reason)
    first, second = ([statistics.fmean(each[seed][side] for each in scores) for seed in seeds] for side in (0, 1))
    test = paired_test(first, second)
    reasons = (test.reason, *_left_out(comparison, scores, seeds))
    return Finding(
        comparison,
        tuple(seeds),
        len(scores),
        statistics.fmean(first),
        statistics.fmean(second),
        test.difference,
        test.p,
        None,
        Outcome.CANNOT_TELL,
        "; ".join(filter(None, reasons)),
    )


def _scores(comparison: Comparison, experiment: Experiment) -> list[Pairs]:
    """The scores of each cell and its baseline by seed; cells without any are left out."""
    found: list[Pairs] = []
    for spot in comparison.spots:
        assert spot.against is not None
        firsts, seconds = (experiment.coverage(place).finished for place in (spot.place, spot.against))
        pairs = {seed: spot.metric.of_both(firsts[seed], seconds[seed]) for seed in sorted(set(firsts) & set(seconds))}
        if scored := {seed: pair for seed, pair in pairs.items() if pair is not None}:
            found.append(scored)
    return found


def _left_out(comparison: Comparison, scores: Sequence[Pairs], seeds: Sequence[int]) -> Iterator[str]:
    if len(scores) < len(comparison.spots):
        yield f"over {len(scores)} of {len(comparison.spots)} cells"
    if others := sorted(set.union(*map(set, scores)) - set(seeds)):
        listed = ", ".join(map(str, others))
        yield f"without {'seed' if len(others) == 1 else 'seeds'} {listed}, not finished in all cells"


def _judged(finding: Finding, p_holm: float | None) -> Finding:
    if p_holm is None or finding.difference is None:
        return finding
    better = (finding.difference.mean > 0) is finding.comparison.metric.higher_is_better
    outcome = Outcome.NOT_SHOWN if p_holm > LEVEL else Outcome.SHOWN if better else Outcome.OPPOSITE
    return replace(finding, p_holm=p_holm, outcome=outcome)
