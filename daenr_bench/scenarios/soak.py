"""The scenario "soak": a paced loop for minutes to hours, against what shows only then: drift, leaks, rare stalls.

The cells take no turns: each has its whole duration without a break in its schedule. What is written stays small: a
histogram for each block, and the instants of the frames that missed their deadline.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from daenr_bench.cells import Cell
from daenr_bench.measurement import Block
from daenr_bench.measurement import Soak as SoakFigures
from daenr_bench.progress import Bar
from daenr_bench.scenarios.calling import quiet_gc
from daenr_bench.scenarios.paced import BOUNDARY, WARM_BOUNDARY, kept_warm, rested
from daenr_bench.scenarios.pacing import AT_100_HZ, Pace, blocks_of, figures_of, from_zero, stretches
from daenr_bench.scenarios.schedule import Schedule
from daenr_bench.scenarios.tracks import Bench, Outcome, Track, calls_to_keep, joined
from daenr_bench.statistics.histogram import histogram
from daenr_bench.statistics.trends import drift, slope
from daenr_common.errors import DaenrError
from daenr_common.machine import read_system_file

MAX_FRAMES = 10_000_000
"""A day at 115 Hz: their instants take 240 MB of memory while the soak runs."""

_MOST_BLOCKS = 360
_SHORTEST_BLOCK_S = 10.0
_MAX_MISSES_KEPT = 1_000_000


@dataclass(frozen=True)
class Soak:
    """How much is measured.

    Attributes:
        pace: the schedule.
        duration_s: of each cell.
        keep_warm: whether the engine runs while the loop waits.

    Raises:
        DaenrError: it would be more frames than memory is meant for.
    """

    name: ClassVar[str] = "soak"
    all_graphs: ClassVar[bool] = False

    pace: Pace = AT_100_HZ
    duration_s: float = 60.0
    keep_warm: bool = False

    def __post_init__(self) -> None:
        if self.frames > MAX_FRAMES:
            problem = f"are {self.frames} frames, at most {MAX_FRAMES} fit in a soak"
            subject = f"{self.duration_s:g} s at {self.pace.rate_hz:g} Hz"
            raise DaenrError(subject, problem, "soak for a shorter time or at a lower rate")

    @property
    def boundary(self) -> str:
        """Where the clock starts and stops."""
        return WARM_BOUNDARY if self.keep_warm else BOUNDARY

    @property
    def frames(self) -> int:
        """Of each cell."""
        return max(round(self.duration_s * self.pace.rate_hz), 1)

    @property
    def block(self) -> int:
        """Frames of a block: a tenth of a short soak, ten seconds of a longer one, and never more than 360 blocks."""
        block_s = min(max(_SHORTEST_BLOCK_S, self.duration_s / _MOST_BLOCKS), self.duration_s / 10)
        return max(round(block_s * self.pace.rate_hz), 1)

    def settings(self) -> dict[str, Any]:
        """Plain values for the result."""
        return {
            **self.pace.settings(),
            "duration_s": self.duration_s,
            "frames_per_block": self.block,
            "keep_warm": self.keep_warm,
        }

    def measure(self, cells: Sequence[Cell], bench: Bench) -> Outcome:
        """Go through the whole schedule with one cell after the other."""
        tracks = [_Soak(cell, self, bench, index) for index, cell in enumerate(cells)]
        complete = False
        try:
            with quiet_gc(), Bar(self.name, total=len(cells) * self.frames, unit="frame") as bar:
                for track in tracks:
                    with ExitStack() as stack:
                        track.attempt(partial(track.go_through, stack, bar))
            complete = True
        except KeyboardInterrupt:
            pass
        return joined([track.outcome(complete=complete) for track in tracks], complete=complete)


class _Soak(Track):
    """A cell's frames, and the memory of the process after each block."""

    def __init__(self, cell: Cell, plan: Soak, bench: Bench, index: int) -> None:
        super().__init__(cell)
        self._plan, self._bench, self._index = plan, bench, index
        self._schedule: Schedule | None = None
        self._zero_ns = 0
        self._rss_bytes: list[int | None] = []

    def go_through(self, stack: ExitStack, bar: Bar) -> None:
        """Warm up, and go through all blocks."""
        plan, bench = self._plan, self._bench
        ready = kept_warm(self.cell, bench, stack) if plan.keep_warm else rested(self.cell, bench)
        self.warm_up = ready.warm_up
        keep = calls_to_keep(plan.frames, [bench.seed, self._index], plan.block)
        self._schedule = Schedule(plan.frames, plan.pace.period_ns, bench.clock.read, keep, self.kept)
        self._zero_ns = bench.clock.read()
        while (left := plan.frames - self._schedule.reached) > 0:
            count = min(plan.block, left)
            self._schedule.run(ready, self.cell.inputs, count, resume=True)
            self._rss_bytes.append(resident_bytes())
            bar.update(count)

    def outcome(self, *, complete: bool) -> Outcome:
        """What was measured, to the last frame."""
        plan = self._plan
        measured = self._schedule is not None and self._schedule.reached > 0
        concluded = self.concluded(plan.name, plan.boundary, measured=measured, complete=complete)
        if self._schedule is None or not measured:
            return Outcome((concluded,), {}, complete)
        frames = from_zero(self._schedule.frames, self._zero_ns)
        missed = frames.missed(plan.pace.due_within_ns)
        missed_due_ns = frames.due_ns[missed][:_MAX_MISSES_KEPT]
        latency_ns = np.where(frames.answered, frames.end_ns - frames.due_ns, -1)
        arrays = {"missed_due_ns": missed_due_ns, "missed_latency_ns": latency_ns[missed][:_MAX_MISSES_KEPT]}
        figures = figures_of(frames, plan.pace, len(missed), keep_warm=plan.keep_warm)
        histograms = [histogram(stretch.latency_ns) for stretch in stretches(frames, plan.block)]
        rss_bytes = [*self._rss_bytes, resident_bytes()]
        blocks = tuple(
            replace(block, histogram=counts, rss_bytes=rss)
            for block, counts, rss in zip(blocks_of(frames, plan.pace, plan.block), histograms, rss_bytes, strict=False)
        )
        return self.report(concluded, plan.name, arrays, blocks=blocks, soak=self._figures(blocks), **figures)

    def _figures(self, blocks: Sequence[Block]) -> SoakFigures:
        known = [(block.start_s, block.rss_bytes) for block in blocks if block.start_s is not None and block.rss_bytes]
        per_second = slope([start_s for start_s, _ in known], [rss for _, rss in known])
        reached = 0 if self._schedule is None else self._schedule.reached
        return SoakFigures(
            planned_s=self._plan.duration_s,
            measured_s=reached / self._plan.pace.rate_hz,
            drift=drift([block.p50_ns for block in blocks if block.p50_ns is not None]),
            rss_slope_bytes_per_hour=None if per_second is None else per_second * 3600,
        )


def resident_bytes() -> int | None:
    """Memory of this process that is in RAM; None where the system does not say (other than Linux)."""
    text = read_system_file(Path("/proc/self/statm"))
    return None if text is None else int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")
