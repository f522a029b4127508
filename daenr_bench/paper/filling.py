"""A layout filled with what a sweep has: means with intervals, the best of each group, and what is lacking."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from daenr_bench.paper.experiment import Coverage, Experiment
from daenr_bench.paper.layouts import Layout, Row, Spot
from daenr_bench.paper.published import published_figures
from daenr_bench.paper.statistics import Estimate, estimate


@dataclass(frozen=True)
class Entry:
    """A filled cell.

    Attributes:
        row: title of its row.
        spot: what it shows.
        coverage: what the sweep has of it.
        estimate: over seeds; None if there is nothing.
        is_best: whether its mean is the best among its rivals, of which there must be two with a figure.
        published: what the paper printed there; None if it is not known, or not from these data.
    """

    row: str
    spot: Spot
    coverage: Coverage
    estimate: Estimate | None
    is_best: bool
    published: float | None

    @property
    def lack(self) -> str:
        """Why there is no figure, in two words; empty if there is one."""
        if self.estimate is not None:
            return ""
        return self.coverage.lack or "not scored"


@dataclass(frozen=True)
class Filled:
    """A filled layout."""

    layout: Layout
    rows: tuple[tuple[Entry, ...], ...]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All cells, by row."""
        return tuple(entry for row in self.rows for entry in row)

    @property
    def is_empty(self) -> bool:
        """Whether the sweep has planned nothing of it."""
        return self.count("not swept") == len(self.entries)

    def count(self, lack: str) -> int:
        """How many cells lack a figure for this reason."""
        return sum(entry.lack == lack for entry in self.entries)


def fill(layout: Layout, experiment: Experiment) -> Filled:
    """Put the scores of a sweep where they belong.

    Raises:
        DaenrError: results.json does not hold the score of a finished run.
        MissingExtraError: SciPy is not installed.
    """
    estimates = {spot: _estimate(spot, experiment) for spot in layout.spots}
    best = _best(estimates.items())

    def entry(row: Row, spot: Spot) -> Entry:
        printed = published_figures().get((layout.ident, row.title, spot.column))
        return Entry(
            row=row.title,
            spot=spot,
            coverage=experiment.coverage(spot.place),
            estimate=estimates[spot],
            is_best=spot in best,
            published=printed if experiment.is_published(spot.place.region) else None,
        )

    return Filled(layout, tuple(tuple(entry(row, spot) for spot in row.spots) for row in layout.rows))


def _estimate(spot: Spot, experiment: Experiment) -> Estimate | None:
    runs = experiment.coverage(spot.place).finished.values()
    values = [value for run in runs if (value := spot.metric.of(run)) is not None]
    return estimate(values) if values else None


def _best(estimates: Iterable[tuple[Spot, Estimate | None]]) -> set[Spot]:
    groups: dict[str, list[tuple[float, Spot]]] = {}
    for spot, found in estimates:
        if found is not None and spot.rivals:
            sign = 1 if spot.metric.higher_is_better else -1
            groups.setdefault(spot.rivals, []).append((sign * found.mean, spot))
    return {
        spot
        for group in groups.values()
        if len(group) > 1
        for value, spot in group
        if value == max(each for each, _ in group)
    }
