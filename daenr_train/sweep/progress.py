"""How far a sweep is and how long it will still take; and what grids cost."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from tqdm import tqdm

from daenr_train.sweep.grid import Cell

Seconds = Mapping[Cell, float]
"""What finished runs took."""


class Progress(Protocol):
    """Told of a sweep's course."""

    def ended(self, cell: Cell, remaining_s: float | None) -> None:
        """A run has ended; the time left is None while nothing is known."""


def kind_of(model: str) -> str:
    """What decides a fit's cost: whether it decodes and with which latent; the readout hardly matters."""
    return model.partition("-")[0]


def estimated_seconds(cells: Iterable[Cell], known: Seconds) -> float | None:
    """Processor time of runs, from the mean of finished runs of their kind, else of all; None without any."""
    if not known:
        return None
    by_kind: dict[str, list[float]] = {}
    for cell, seconds in known.items():
        by_kind.setdefault(kind_of(cell.model), []).append(seconds)
    means = {kind: statistics.fmean(seconds) for kind, seconds in by_kind.items()}
    overall = statistics.fmean(known.values())
    return sum(means.get(kind_of(cell.model), overall) for cell in cells)


def duration(seconds: float) -> str:
    """For people: `45 s`, `12 min`, `3.4 h`, `2.1 days`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


class _Bar:
    def __init__(self, bar: tqdm[Any]) -> None:
        self.bar = bar

    def ended(self, cell: Cell, remaining_s: float | None) -> None:
        left = "" if remaining_s is None else f"{duration(remaining_s)} left, "
        self.bar.set_postfix_str(f"{left}last {cell}", refresh=False)
        self.bar.update()


@contextmanager
def progress_bar(total: int, done: int) -> Iterator[Progress]:
    """A bar on standard error where that is a terminal; silent elsewhere."""
    shape = "{desc}: {n_fmt}/{total_fmt}|{bar}| {elapsed}{postfix}"
    with tqdm(total=total, initial=done, desc="runs", disable=None, bar_format=shape) as bar:
        yield _Bar(bar)


class Stopwatch:
    """The time left, from what finished runs took and how many are under way."""

    def __init__(self, known: Seconds) -> None:
        self.known = dict(known)
        self.started: dict[Cell, float] = {}

    def start(self, cell: Cell) -> None:
        """A run starts."""
        self.started[cell] = time.monotonic()

    def end(self, cell: Cell, *, finished: bool) -> None:
        """A run has ended."""
        taken = time.monotonic() - self.started.pop(cell)
        if finished:
            self.known[cell] = taken

    def remaining_s(self, waiting: Iterable[Cell], capacity: int) -> float | None:
        """Until the waiting and the running cells have ended."""
        now = time.monotonic()
        waiting_s = estimated_seconds(waiting, self.known)
        if waiting_s is None:
            return None
        running_s = 0.0
        for cell, start in self.started.items():
            running_s += max((estimated_seconds([cell], self.known) or 0) - (now - start), 0)
        return (waiting_s + running_s) / max(capacity, 1)
