"""What a scenario knows of a cell while it runs, and the measurement that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from daenr_bench.cells import Cell
from daenr_bench.clocks import Clock
from daenr_bench.measurement import Measurement, State, WarmUp
from daenr_bench.result import Overhead
from daenr_bench.scenarios.calling import Answers
from daenr_bench.scenarios.device import DeviceTimes
from daenr_common.errors import DaenrError
from daenr_export.bundle import Bundle

Arrays = dict[str, NDArray[np.int64]]

CHECKS = 16
"""Timed calls of a cell whose answers are compared with the right ones."""


@dataclass(frozen=True)
class Bench:
    """What all scenarios of a run share.

    Attributes:
        bundle: that is measured.
        clock: that everything is timed with.
        seed: decides which timed answers are compared.
        checkpoint: what the peers run; None without peers.
        made_by_caller: names of backends that a new process could not make again.
    """

    bundle: Bundle
    clock: Clock
    seed: int = 0
    checkpoint: Path | None = None
    made_by_caller: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Outcome:
    """What came of a scenario.

    Attributes:
        measurements: one for each cell.
        arrays: the raw samples by key.
        complete: whether it came to its end.
        overhead: what it found out of this machine (`daenr_bench.result.Overhead`), by name.
    """

    measurements: tuple[Measurement, ...]
    arrays: Arrays
    complete: bool
    overhead: Mapping[str, Overhead] = field(default_factory=dict)


class Scenario(Protocol):
    """One way to ask how fast cells are. Ctrl-C ends it, and what was measured is in its outcome."""

    name: ClassVar[str]
    all_graphs: ClassVar[bool]
    """Whether it measures every graph, or only the one that a rig runs."""

    @property
    def boundary(self) -> str:
        """Where its clock starts and stops, in words."""
        ...

    def settings(self) -> dict[str, Any]:
        """What decides its figures: plain values for the result."""
        ...

    def measure(self, cells: Sequence[Cell], bench: Bench) -> Outcome:
        """Measure cells, in turns where that is fair to all."""
        ...


@dataclass
class Track:
    """A cell on its way through a scenario.

    Attributes:
        cell: whose answers were right before.
        warm_up: how it was warmed up.
        kept: answers of timed calls, by their number, which decides the input.
        problem: why it could not be measured to the end.
        device: its device's own times, where there are any.
    """

    cell: Cell
    warm_up: WarmUp | None = None
    device: DeviceTimes | None = None
    kept: dict[int, Answers] = field(default_factory=dict)
    problem: str | None = None

    def attempt(self, step: Callable[[], object]) -> None:
        """Do a step unless one failed before: an engine that dies ends its own measurement, not the others'."""
        if self.problem is not None:
            return
        try:
            step()
        except DaenrError as error:
            self.problem = str(error)
        except Exception as error:  # a bound engine raises what its library raises
            self.problem = " ".join(f"{type(error).__name__}: {error}".split())

    def keep_rows(self, answers: Answers, images: Iterable[int]) -> None:
        """Keep the answers to a batch as if each image had been a call of its own, whose number names the input.

        Args:
            answers: by output, `(B, …)`; they must not change afterwards.
            images: rows of the cell's inputs that the batch was made of, at most B.
        """
        n = len(self.cell.inputs)
        for row, image in enumerate(images):
            self.kept[len(self.kept) * n + image] = tuple(output[row : row + 1] for output in answers)

    def key(self, scenario: str, array: str) -> str:
        """The name of raw samples in the npz."""
        return f"{self.cell.graph}.{self.cell.backend}.{scenario}.{array}"

    def concluded(self, scenario: str, boundary: str, *, measured: bool, complete: bool) -> Measurement:
        """The measurement without its figures.

        Args:
            scenario: its name.
            boundary: where its clock starts and stops, in words.
            measured: whether there is anything to report.
            complete: whether the scenario came to its end.
        """
        problems = self.cell.compare_timed(self.kept)
        state = State.FAIL if problems else State.PASS if measured else State.CANNOT_TELL
        if self.problem is not None and not problems:
            state, problems = State.FAULT, (self.problem,)
        return Measurement(
            graph=self.cell.graph,
            backend=self.cell.backend,
            scenario=scenario,
            timing_boundary=boundary,
            state=state.value,
            complete=complete and self.problem is None,
            problems=problems,
            timed_answers_compared=len(self.kept),
            warm_up=self.warm_up,
        )

    def report(self, concluded: Measurement, scenario: str, arrays: Arrays, **figures: Any) -> Outcome:
        """The measurement with its figures and raw samples, unless its answers were wrong: then it has none."""
        if concluded.state == State.FAIL.value or not arrays:
            return Outcome((concluded,), {}, concluded.complete)
        if self.device is not None:
            arrays, figures = {**arrays, **self.device.samples}, {**figures, "device": self.device.summary}
        keys = {name: self.key(scenario, name) for name in arrays}
        measurement = replace(concluded, samples=keys, **figures)
        return Outcome((measurement,), {keys[name]: array for name, array in arrays.items()}, concluded.complete)


def joined(outcomes: Sequence[Outcome], *, complete: bool) -> Outcome:
    """The outcomes of several cells as one."""
    return Outcome(
        tuple(measurement for outcome in outcomes for measurement in outcome.measurements),
        {key: array for outcome in outcomes for key, array in outcome.arrays.items()},
        complete,
        {name: overhead for outcome in outcomes for name, overhead in outcome.overhead.items()},
    )


def calls_to_keep(n: int, seed: Sequence[int], block: int | None = None) -> frozenset[int]:
    """Which of `n` timed calls are compared.

    Args:
        n: how many there will be.
        seed: decides which.
        block: at least one in each stretch of so many, so that an engine that goes wrong after hours is found; None for
            any.
    """
    random = np.random.default_rng(seed)
    chosen = random.choice(n, min(CHECKS, n), replace=False).tolist()
    for first in range(0, n, block) if block else ():
        chosen.append(first + int(random.integers(min(block or n, n - first))))
    return frozenset(chosen)


def calls_to_keep_without_end(seed: Sequence[int]) -> frozenset[int]:
    """Which timed calls are compared where nobody knows how many there will be: four in each doubling of them."""
    random = np.random.default_rng(seed)
    octaves = [(2**power, min(2**power, 4)) for power in range(32)]
    return frozenset(low - 1 + int(k) for low, count in octaves for k in random.choice(low, count, replace=False))


def turns(n_cells: int, number: int, rounds: int) -> list[int]:
    """In which order cells have their turn in a round.

    It is turned from one pair of rounds to the next and reversed within a pair, so that a machine that slows down in
    the course of a run slows down all cells alike: the mean place is the same for all over a pair of rounds.
    """
    pair, is_second = divmod(number, 2)
    shift = pair * n_cells // max(rounds // 2, 1)
    turned = [(index + shift) % n_cells for index in range(n_cells)]
    return turned[::-1] if is_second else turned
