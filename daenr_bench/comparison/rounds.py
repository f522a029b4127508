"""A round: BASE and HEAD opened anew, warmed up, and timed in short turns that drift hits alike.

A session that is opened again lies elsewhere in memory, and is a little faster or slower for as long as it lives. Were
each bundle opened once, that luck would look like a difference between them; opened anew in each round it is noise that
the interval covers (Kalibera and Jones, "Rigorous benchmarking in reasonable time", 2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, final

import numpy as np

from daenr_bench.cells import BATCH, Cell
from daenr_bench.clocks import Clock
from daenr_bench.comparison.intervals import Values
from daenr_bench.scenarios import burst, paced
from daenr_bench.scenarios.calling import Answers, Call, time_calls
from daenr_bench.scenarios.paced import rested
from daenr_bench.scenarios.pacing import AT_100_HZ, Pace
from daenr_bench.scenarios.schedule import Schedule
from daenr_bench.scenarios.tracks import Bench, calls_to_keep
from daenr_bench.scenarios.warming import warm_up


def order(number: int, turns: int) -> list[int]:
    """Who has its turn in a round: 0 for BASE, 1 for HEAD.

    The Thue-Morse sequence, ABBABAAB…, exchanged in every other round: drift of the first few orders cancels.

    Args:
        number: of the round.
        turns: of both together, a power of two.
    """
    return [(turn.bit_count() + number) % 2 for turn in range(turns)]


class Timed(NamedTuple):
    """The calls of one side in a round: latencies `(calls,)`, and the answers that were kept, by number of the call."""

    latency_ns: Values
    kept: dict[int, Answers]


class Turns(Protocol):
    """One side in one round."""

    def go_on(self) -> None:
        """Take the next turn."""
        ...

    def timed(self) -> Timed:
        """All turns."""
        ...


class Timer(Protocol):
    """How calls are timed: the scenario."""

    name: ClassVar[str]
    boundary: ClassVar[str]

    @property
    def turns(self) -> int:
        """Of both sides together in a round, a power of two."""
        ...

    @property
    def unanswered_ns(self) -> float | None:
        """What a frame counts as that was never answered; None where every call is answered."""
        ...

    def settings(self) -> dict[str, Any]:
        """What decides the figures."""
        ...

    def prepare(self, cell: Cell, bench: Bench, seed: Sequence[int]) -> Turns:
        """Warm a cell up for a round.

        Args:
            cell: with a session of this round's own.
            bench: with the clock.
            seed: decides which answers are kept.
        """
        ...


@final
@dataclass(frozen=True)
class BurstTimer:
    """The next call when the last returned."""

    name: ClassVar[str] = burst.Burst.name
    boundary: ClassVar[str] = burst.BOUNDARY
    unanswered_ns: ClassVar[float | None] = None

    turns: int = 16
    calls: int = 25
    lead_in: int = 5

    def settings(self) -> dict[str, Any]:
        """Plain values."""
        return {"batch": BATCH, "turns": self.turns, "calls_per_turn": self.calls, "lead_in_calls": self.lead_in}

    def prepare(self, cell: Cell, bench: Bench, seed: Sequence[int]) -> Turns:
        """Take standing buffers, and warm up."""
        call = Call.of(cell.session.bind(BATCH))
        warm_up(call, cell.inputs, bench.clock.read)
        return _BurstTurns(self, call, cell, bench.clock, seed)


class _BurstTurns:
    def __init__(self, timer: BurstTimer, call: Call, cell: Cell, clock: Clock, seed: Sequence[int]) -> None:
        self._timer, self._call, self._inputs, self._read = timer, call, cell.inputs, clock.read
        self._latency_ns = np.empty((timer.turns // 2, timer.calls), np.int64)
        self._lead_in_ns = np.empty(timer.lead_in, np.int64)
        self._keep = calls_to_keep(self._latency_ns.size, seed)
        self._kept: dict[int, Answers] = {}
        self._next = 0

    def go_on(self) -> None:
        block, first = self._latency_ns[self._next], self._next * self._timer.calls
        self._next += 1
        time_calls(self._call, self._inputs, self._lead_in_ns, self._read)
        time_calls(self._call, self._inputs, block, self._read, first=first, keep=self._keep, kept=self._kept)

    def timed(self) -> Timed:
        return Timed(self._latency_ns.reshape(-1).astype(np.float64), self._kept)


@final
@dataclass(frozen=True)
class PacedTimer:
    """Frames on a fixed schedule, latency from the instant each was due."""

    name: ClassVar[str] = paced.Paced.name
    boundary: ClassVar[str] = paced.BOUNDARY

    pace: Pace = AT_100_HZ
    turns: int = 8
    frames: int = 10
    lead_in: int = 2

    @property
    def unanswered_ns(self) -> float:
        """The period: a frame is skipped when its successor is due."""
        return float(self.pace.period_ns)

    def settings(self) -> dict[str, Any]:
        """Plain values."""
        rate = {"rate_hz": self.pace.rate_hz, "period_ns": self.pace.period_ns}
        return {
            **rate, "batch": BATCH, "turns": self.turns, "frames_per_turn": self.frames, "lead_in_frames": self.lead_in
        }  # fmt: skip

    def prepare(self, cell: Cell, bench: Bench, seed: Sequence[int]) -> Turns:
        """Take standing buffers, and warm up."""
        return _PacedTurns(self, cell, bench, seed)


class _PacedTurns:
    def __init__(self, timer: PacedTimer, cell: Cell, bench: Bench, seed: Sequence[int]) -> None:
        self._timer, self._inputs, self._ready = timer, cell.inputs, rested(cell, bench)
        frames = timer.turns // 2 * timer.frames
        self._kept: dict[int, Answers] = {}
        keep = calls_to_keep(frames, seed)
        self._schedule = Schedule(frames, timer.pace.period_ns, bench.clock.read, keep, self._kept)

    def go_on(self) -> None:
        self._schedule.run(self._ready, self._inputs, self._timer.frames, lead_in=self._timer.lead_in)

    def timed(self) -> Timed:
        frames = self._schedule.frames
        latency_ns = np.where(frames.answered, frames.end_ns - frames.due_ns, self._timer.pace.period_ns)
        return Timed(latency_ns.astype(np.float64), self._kept)
