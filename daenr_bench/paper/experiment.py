"""What a sweep has, as tables ask for it: the runs of a model on a region, by seed, and why there are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from daenr_train.sweep.results import Result, Results

PAPER_REGIONS = ("region1", "region2", "region3")


@dataclass(frozen=True, order=True)
class Place:
    """What a run is of, but for its seed."""

    region: str
    model: str
    neurons: str = "all"


@dataclass(frozen=True)
class Coverage:
    """How much of a place a sweep has.

    Attributes:
        finished: runs by seed.
        failed: their errors by seed.
        unfinished: seeds of runs that are still to come.
    """

    finished: Mapping[int, Result]
    failed: Mapping[int, str]
    unfinished: tuple[int, ...]

    @property
    def planned(self) -> int:
        """How many runs the sweep has planned."""
        return len(self.finished) + len(self.failed) + len(self.unfinished)

    @property
    def lack(self) -> str:
        """Why there is nothing at all, in two words; empty if there is something."""
        if self.finished:
            return ""
        if not self.planned:
            return "not swept"
        return "failed" if self.failed and not self.unfinished else "unfinished"

    @property
    def share(self) -> str:
        """`2 of 5 seeds` where not all have finished, else empty."""
        complete = len(self.finished) == self.planned
        return "" if complete or not self.finished else f"{len(self.finished)} of {self.planned} seeds"


_NOTHING = Coverage({}, {}, ())


class Experiment:
    """The results of a sweep by place.

    Args:
        results: of the sweep.
    """

    def __init__(self, results: Results) -> None:
        self.results = results
        self.recordings = results.recordings
        by_place: dict[Place, list[Result]] = {}
        for run in results.runs:
            by_place.setdefault(Place(run.cell.region, run.cell.model, run.cell.neurons), []).append(run)
        self._by_place = {place: _coverage(runs) for place, runs in by_place.items()}

    def coverage(self, place: Place) -> Coverage:
        """What the sweep has of a place."""
        return self._by_place.get(place, _NOTHING)

    @cached_property
    def regions(self) -> tuple[str, ...]:
        """The regions that tables show: the paper's, or where the sweep has others, its own."""
        swept = tuple(sorted(self.recordings))
        return PAPER_REGIONS if set(swept) <= set(PAPER_REGIONS) else swept

    @property
    def focus(self) -> str:
        """The region of what shows only one: the paper's region 3, else the last that was swept."""
        return "region3" if "region3" in self.recordings else max(self.recordings, default="region3")

    def is_published(self, region: str) -> bool:
        """Whether a region's recording is the one that the paper used."""
        return region in self.recordings and self.recordings[region].published

    @property
    def seeds(self) -> tuple[int, ...]:
        """All that were planned."""
        return tuple(sorted({run.cell.seed for run in self.results.runs}))

    def count(self, status: str) -> int:
        """How many runs are `finished`, `failed` or `missing`."""
        return sum(run.status == status for run in self.results.runs)


def _coverage(runs: list[Result]) -> Coverage:
    return Coverage(
        {run.cell.seed: run for run in runs if run.status == "finished"},
        {run.cell.seed: str(run.entry.get("error", "")) for run in runs if run.status == "failed"},
        tuple(run.cell.seed for run in runs if run.status == "missing"),
    )
