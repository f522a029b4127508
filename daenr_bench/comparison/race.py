"""One pair on its way: rounds are added until it is decided, and no further than the bound."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from daenr_bench.cells import Cell
from daenr_bench.comparison.document import Pair, State
from daenr_bench.comparison.effect import Criteria, Effect
from daenr_bench.comparison.looks import Looks
from daenr_bench.comparison.rounds import Timed, Timer, order
from daenr_bench.comparison.samples import Samples
from daenr_bench.progress import Bar
from daenr_bench.scenarios.tracks import Bench
from daenr_common.errors import DaenrError
from daenr_export.runtime.protocol import GraphSource

SIDES = ("BASE", "HEAD")


class Contest(Protocol):
    """What takes rounds until it is decided."""

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to measure."""
        ...

    def take(self, number: int) -> None:
        """Measure a round."""
        ...

    def look(self) -> None:
        """See whether what was measured decides."""
        ...


def decide(contests: Sequence[Contest], looks: Looks) -> bool:
    """Let contests take rounds in turns, and look at them when it was planned; false after Ctrl-C."""
    done = 0
    try:
        with Bar("comparing", total=looks.at[-1] * len(contests), unit="round") as bar:
            for until in looks.at:
                for number in range(done, until):
                    for contest in contests[:: -1 if number % 2 else 1]:
                        if not contest.is_over:
                            contest.take(number)
                        bar.update()
                done = until
                for contest in contests:
                    if not contest.is_over:
                        contest.look()
                if all(contest.is_over for contest in contests):
                    break
    except KeyboardInterrupt:
        return False
    return True


class _DiedError(Exception):
    """One side raised."""

    def __init__(self, side: int, error: Exception) -> None:
        self.side = side
        text = str(error) if isinstance(error, DaenrError) else f"{type(error).__name__}: {error}"
        super().__init__(" ".join(f"{SIDES[side]}: {text}".split()))


@contextmanager
def _blamed_on(side: int) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # an engine raises what its library raises
        raise _DiedError(side, error) from error


@dataclass
class Race:
    """A graph on a backend in both bundles; answers of both were right before.

    Attributes:
        cells: of BASE and HEAD; their sessions are not used.
        graphs: what is opened anew in each round.
        benches: with the clock, for each.
        timer: the scenario.
        criteria: what counts as a difference.
        confidence: of each look's intervals.
        samples: so far.
        problems: what ended it.
    """

    cells: tuple[Cell, Cell]
    graphs: tuple[Callable[[], GraphSource], Callable[[], GraphSource]]
    benches: tuple[Bench, Bench]
    timer: Timer
    criteria: Criteria
    confidence: float
    samples: Samples = field(default_factory=Samples)
    problems: tuple[str, ...] = ()
    state: State = State.COMPARED
    decided: bool = False
    answers_compared: int = 0

    @property
    def is_over(self) -> bool:
        """Whether it is decided, or a side died or answered wrongly."""
        return self.decided or self.state is not State.COMPARED

    def take(self, number: int) -> None:
        """Measure a round; where a side dies in it, the round does not count."""
        try:
            base, head = self._round(number)
        except _DiedError as died:
            self.problems = (str(died),)
            self.state = (State.BASE_FAULT, State.HEAD_FAULT)[died.side]
            return
        for side, timed in enumerate((base, head)):
            wrong = self.cells[side].compare_timed(timed.kept)
            self.problems += tuple(f"{SIDES[side]}: {problem}" for problem in wrong)
            self.answers_compared += len(timed.kept)
        if self.problems:
            self.state = State.WRONG
            return
        self.samples.base_ns.append(base.latency_ns)
        self.samples.head_ns.append(head.latency_ns)

    def look(self) -> None:
        """See whether the median decides."""
        self.decided = self.samples.median(self.criteria, self.confidence).effect != Effect.CANNOT_TELL.value

    def pair(self, *, complete: bool) -> Pair:
        """What came of it. A race that was interrupted has figures and no verdict: that look was not planned.

        Args:
            complete: whether all rounds were taken that it needed.
        """
        complete = self.is_over or complete
        samples = self.samples
        lines = () if self.state is State.WRONG else samples.lines(self.criteria, self.confidence)
        if not complete or self.state is not State.COMPARED:
            reason = self.state.value if self.state is not State.COMPARED else "interrupted before it was decided"
            lines = tuple(replace(line, effect=Effect.CANNOT_TELL.value, reason=reason) for line in lines)
        base_ns, head_ns = samples.medians()
        return Pair(
            self.cells[0].graph,
            self.cells[0].backend,
            self.state.value,
            complete=complete and self.state in (State.COMPARED, State.WRONG),
            problems=self.problems,
            rounds=samples.rounds,
            calls=samples.calls,
            answers_compared=self.answers_compared,
            lines=lines,
            base_p50_ns=tuple(base_ns.tolist()) if lines else (),
            head_p50_ns=tuple(head_ns.tolist()) if lines else (),
        )

    def _round(self, number: int) -> list[Timed]:
        """Open both, in the round's order, and give them their turns."""
        turns = order(number, self.timer.turns)
        sides: dict[int, Cell] = {}
        with ExitStack() as stack:
            for side in turns[:2]:
                with _blamed_on(side):
                    session = stack.enter_context(self.cells[side].opened_on.open(self.graphs[side]()))
                    sides[side] = replace(self.cells[side], session=session)
            # What earlier rounds left behind; all that is older is frozen (`quiet_gc` around the whole comparison).
            gc.collect()
            ready = {}
            for side, cell in sides.items():
                with _blamed_on(side):
                    bench = self.benches[side]
                    ready[side] = self.timer.prepare(cell, bench, [bench.seed, number, side])
            for side in turns:
                with _blamed_on(side):
                    ready[side].go_on()
            return [ready[side].timed() for side in range(len(SIDES))]
