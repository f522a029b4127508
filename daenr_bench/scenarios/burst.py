"""The scenario "burst": the next call starts when the last one returned, all cells interleaved in one run.

It is what most published latencies are: how long an engine takes at its best, not what a loop that waits for frames
gets (see `daenr_bench.scenarios.paced`). Each round times a block of calls of each cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from daenr_bench.cells import BATCH, Cell
from daenr_bench.progress import Bar
from daenr_bench.scenarios import calling
from daenr_bench.scenarios.calling import NOT_MEASURED, Call, quiet_gc, time_calls
from daenr_bench.scenarios.device import DeviceTimes
from daenr_bench.scenarios.tracks import Bench, Outcome, Track, calls_to_keep, joined, turns
from daenr_bench.scenarios.warming import warm_up
from daenr_bench.statistics.summaries import block_of, latency_of

BOUNDARY = f"{calling.BOUNDARY}; the next call starts when the last one returned"


@dataclass(frozen=True)
class Burst:
    """How much is measured.

    Attributes:
        samples: timed calls of each cell; rounded up to whole blocks.
        rounds: an even number of rounds gives each cell the same place on average.
        lead_in: calls before each block that are not counted, because another cell has just had the caches.
    """

    name: ClassVar[str] = "burst"
    boundary: ClassVar[str] = BOUNDARY
    all_graphs: ClassVar[bool] = True

    samples: int = 1000
    rounds: int = 10
    lead_in: int = 10

    @property
    def block(self) -> int:
        """Timed calls of a cell in a round."""
        return math.ceil(self.samples / self.rounds)

    def settings(self) -> dict[str, Any]:
        """Plain values for the result."""
        return {
            "batch": BATCH,
            "calls_per_round": self.block,
            "rounds": self.rounds,
            "lead_in_calls": self.lead_in,
        }

    def measure(self, cells: Sequence[Cell], bench: Bench) -> Outcome:
        """Time the cells in turns."""
        tracks = [_Burst(cell, self, bench, index) for index, cell in enumerate(cells)]
        complete = False
        try:
            with quiet_gc(), Bar(self.name, total=len(cells) * (self.rounds + 1), unit="block") as bar:
                for track in tracks:
                    track.attempt(track.prepare)
                    bar.update()
                for number in range(self.rounds):
                    for index in turns(len(cells), number, self.rounds):
                        tracks[index].attempt(tracks[index].time_block)
                        bar.update()
            complete = True
        except KeyboardInterrupt:
            pass
        return joined([track.outcome(complete=complete) for track in tracks], complete=complete)


class _Burst(Track):
    """A cell's samples: `latency_ns` `(rounds, calls)`, and when each round began."""

    def __init__(self, cell: Cell, plan: Burst, bench: Bench, index: int) -> None:
        super().__init__(cell)
        self._plan, self._read = plan, bench.clock.read
        self._zero_ns = self._read()
        self._latency_ns = np.full((plan.rounds, plan.block), NOT_MEASURED, np.int64)
        self._lead_in_ns = np.empty(plan.lead_in, np.int64)
        self._keep = calls_to_keep(self._latency_ns.size, [bench.seed, index])
        self._starts_ns: list[int] = []

    def prepare(self) -> None:
        """Take standing buffers, and warm up."""
        self._call = Call.of(self.cell.session.bind(BATCH))
        self.warm_up = warm_up(self._call, self.cell.inputs, self._read)
        self.device = DeviceTimes.of(self.cell.session)

    def time_block(self) -> None:
        """Time the calls of one round; after them as many by the device, if it tells its time."""
        number, inputs = len(self._starts_ns), self.cell.inputs
        time_calls(self._call, inputs, self._lead_in_ns, self._read)
        self._starts_ns.append(self._read())
        block = self._latency_ns[number]
        time_calls(
            self._call, inputs, block, self._read, first=number * len(block), keep=self._keep, kept=self.kept
        )  # fmt: skip
        if self.device is not None:
            self.device.time(inputs, len(block), lead_in=self._plan.lead_in)

    def outcome(self, *, complete: bool) -> Outcome:
        """What was measured, to the last call."""
        measured: NDArray[np.int64] = self._latency_ns[self._latency_ns != NOT_MEASURED]
        concluded = self.concluded(Burst.name, BOUNDARY, measured=measured.size > 0, complete=complete)
        if not measured.size:
            return Outcome((concluded,), {}, complete)
        blocks = [
            block_of(block[block != NOT_MEASURED], start_s=(start_ns - self._zero_ns) / 1e9)
            for block, start_ns in zip(self._latency_ns, self._starts_ns, strict=False)
        ]
        arrays = {"latency_ns": self._latency_ns}
        return self.report(concluded, Burst.name, arrays, latency=latency_of(measured), blocks=tuple(blocks))
