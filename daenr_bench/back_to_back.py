"""The scenario "back to back": the next call starts when the last one returned, all cells interleaved in one run.

Each round times a block of calls of each cell. The order is turned from one pair of rounds to the next, and reversed
within a pair, so that a machine that slows down in the course of a run slows down all cells alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from daenr_bench.cells import Cell
from daenr_bench.clocks import Clock
from daenr_bench.measurement import WarmUp
from daenr_bench.progress import Bar
from daenr_bench.quiet import Answers, quiet_gc, time_calls
from daenr_common.errors import DaenrError

SCENARIO = "burst"

WARM_UP_BLOCK = 25
WARM_UP_SPREAD = 0.05
_MAX_WARM_UP_BLOCKS = 40
_MAX_WARM_UP_NS = 1_000_000_000


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        samples: timed calls of each cell; rounded up to whole blocks.
        rounds: an even number of rounds gives each cell the same place on average.
        lead_in: calls before each block that are not counted, because another cell has just had the caches.
        checks: timed calls of each cell whose answers are compared.
        seed: decides which.
    """

    samples: int = 1000
    rounds: int = 10
    lead_in: int = 10
    checks: int = 16
    seed: int = 0

    @property
    def block(self) -> int:
        """Timed calls of a cell in a round."""
        return math.ceil(self.samples / self.rounds)


@dataclass
class Samples:
    """What was measured of one cell, as far as the run came.

    Attributes:
        blocks_ns: latency in nanoseconds of each call, `(rounds, calls in a round)`.
        keep: numbers of the timed calls whose answers are compared.
        done: rounds that are complete.
        warm_up: how it was warmed up; None if the run ended before.
        kept: answers of timed calls, by number.
        problem: why it could not be measured to the end.
    """

    blocks_ns: NDArray[np.int64]
    keep: frozenset[int]
    done: int = 0
    warm_up: WarmUp | None = None
    kept: dict[int, Answers] = field(default_factory=dict)
    problem: str | None = None

    @property
    def latency_ns(self) -> NDArray[np.int64]:
        """Latencies of the rounds that are complete, `(rounds, calls in a round)`."""
        return self.blocks_ns[: self.done]


@dataclass(frozen=True)
class Timing:
    """The samples of all cells, in their order, and whether the run came to its end."""

    samples: tuple[Samples, ...]
    complete: bool


def measure(cells: Sequence[Cell], plan: Plan, clock: Clock) -> Timing:
    """Time the cells. Ctrl-C ends the run, and what was measured in complete blocks is kept."""
    samples = tuple(_empty(plan, index) for index in range(len(cells)))
    try:
        with quiet_gc(), Bar("timing", total=len(cells) * (plan.rounds + 1), unit="block") as bar:
            for cell, mine in zip(cells, samples, strict=True):
                _guarded(_warm_up, cell, mine, plan, clock)
                bar.update()
            for number in range(plan.rounds):
                for index in order(len(cells), number, plan.rounds):
                    _guarded(_time_block, cells[index], samples[index], plan, clock)
                    bar.update()
    except KeyboardInterrupt:
        return Timing(samples, complete=False)
    return Timing(samples, complete=True)


def order(n_cells: int, number: int, rounds: int) -> list[int]:
    """In which order the cells have their turn in a round: the mean place is the same for all over a pair of rounds."""
    pair, is_second = divmod(number, 2)
    shift = pair * n_cells // max(rounds // 2, 1)
    turned = [(index + shift) % n_cells for index in range(n_cells)]
    return turned[::-1] if is_second else turned


def _empty(plan: Plan, index: int) -> Samples:
    n = plan.rounds * plan.block
    keep = np.random.default_rng([plan.seed, index]).choice(n, min(plan.checks, n), replace=False)
    return Samples(np.empty((plan.rounds, plan.block), np.int64), frozenset(keep.tolist()))


_Step = Callable[[Cell, Samples, Plan, Clock], None]


def _guarded(step: _Step, cell: Cell, samples: Samples, plan: Plan, clock: Clock) -> None:
    """Do a step unless one failed before: a session that stops answering ends its own measurement, not the others'."""
    if samples.problem is None:
        try:
            step(cell, samples, plan, clock)
        except DaenrError as error:
            samples.problem = str(error)


def _warm_up(cell: Cell, samples: Samples, _: Plan, clock: Clock) -> None:
    """Call until three blocks in a row have nearly the same median, or for as long as is bearable."""
    latency_ns = np.empty(WARM_UP_BLOCK, np.int64)
    medians_ns: list[float] = []
    settled, end_ns = False, clock() + _MAX_WARM_UP_NS
    while not settled and len(medians_ns) < _MAX_WARM_UP_BLOCKS and clock() < end_ns:
        time_calls(cell.session.run, cell.inputs, latency_ns, clock=clock)
        medians_ns.append(float(np.median(latency_ns)))
        last = medians_ns[-3:]
        settled = len(last) == 3 and max(last) <= (1 + WARM_UP_SPREAD) * min(last)
    samples.warm_up = WarmUp(len(medians_ns) * WARM_UP_BLOCK, settled)


def _time_block(cell: Cell, samples: Samples, plan: Plan, clock: Clock) -> None:
    run, block = cell.session.run, samples.blocks_ns[samples.done]
    time_calls(run, cell.inputs, np.empty(plan.lead_in, np.int64), clock=clock)
    first = samples.done * plan.block
    samples.kept |= time_calls(run, cell.inputs, block, clock=clock, first=first, keep=samples.keep)
    samples.done += 1
