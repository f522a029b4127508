"""The scenario "throughput": images per second by batch size, one call after the other, cells interleaved.

It answers how long an offline analysis takes, not what a rig feels: a batch has the latency of its last image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from daenr_bench.cells import Cell
from daenr_bench.measurement import Throughput as ThroughputFigures
from daenr_bench.measurement import ThroughputPoint
from daenr_bench.progress import Bar
from daenr_bench.scenarios import calling
from daenr_bench.scenarios.calling import NOT_MEASURED, Answers, Call, quiet_gc, time_calls
from daenr_bench.scenarios.tracks import Bench, Outcome, Track, joined, turns
from daenr_bench.statistics.percentiles import nearest_rank
from daenr_export.specs import Array

SATURATION_SHARE = 0.95

BOUNDARY = (
    f"{calling.BOUNDARY}; the next call starts when the last one returned; images per second are the batch size over "
    "the median time of a call"
)


@dataclass(frozen=True)
class Throughput:
    """How much is measured.

    Attributes:
        batches: sizes; those outside of a graph's range are left out.
        rounds: in which the cells take turns at each size.
        block_ns: about how long each cell is called in a round at a size.
    """

    name: ClassVar[str] = "throughput"
    boundary: ClassVar[str] = BOUNDARY
    all_graphs: ClassVar[bool] = False

    batches: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256)
    rounds: int = 4
    block_ns: int = 30_000_000

    def settings(self) -> dict[str, Any]:
        """Plain values for the result."""
        return {"batches": list(self.batches), "rounds": self.rounds, "ns_per_block": self.block_ns}

    def measure(self, cells: Sequence[Cell], bench: Bench) -> Outcome:
        """Time the cells in turns, round by round through all sizes."""
        tracks = [_Throughput(cell, self, bench, index) for index, cell in enumerate(cells)]
        complete = False
        try:
            with quiet_gc(), Bar(self.name, total=len(self.batches) * self.rounds, unit="block") as bar:
                for number in range(self.rounds):
                    for size in self.batches:
                        for index in turns(len(cells), number, self.rounds):
                            tracks[index].attempt(partial(tracks[index].time_block, size))
                        bar.update()
            complete = True
        except KeyboardInterrupt:
            pass
        return joined([track.outcome(complete=complete) for track in tracks], complete=complete)


class _Ready(NamedTuple):
    """A batch size that has been warmed up.

    Attributes:
        call: answers a batch.
        rows: of the inputs that each batch is made of.
        batches: inputs, taken in turn.
        calls: that fill a block.
    """

    call: Call
    rows: tuple[NDArray[np.int64], ...]
    batches: tuple[Array, ...]
    calls: int


class _Throughput(Track):
    """A cell's calls at each batch size."""

    def __init__(self, cell: Cell, plan: Throughput, bench: Bench, index: int) -> None:
        super().__init__(cell)
        self._plan, self._read = plan, bench.clock.read
        self._random = np.random.default_rng([bench.seed, index])
        self._ready: dict[int, _Ready] = {}
        self._chunks: dict[int, list[NDArray[np.int64]]] = {}

    def time_block(self, size: int) -> None:
        """Time the calls of one size in one round, and keep the answers of one of them."""
        batch = self.cell.session.spec.batch
        if not batch.min <= size <= batch.max:
            return
        ready = self._ready.get(size) or self._prepare(size)
        chunks = self._chunks.setdefault(size, [])
        first = ready.calls * len(chunks)
        chunks.append(np.full(ready.calls, NOT_MEASURED, np.int64))
        keep, kept = first + int(self._random.integers(ready.calls)), dict[int, Answers]()
        try:
            time_calls(ready.call, ready.batches, chunks[-1], self._read, first=first, keep={keep}, kept=kept)
        finally:
            for number, answers in kept.items():
                self.keep_rows(answers, ready.rows[number % len(ready.rows)].tolist())

    def _prepare(self, size: int) -> _Ready:
        """Take standing buffers, warm up, and see how many calls fill a block."""
        images = np.concatenate(self.cell.inputs)
        rows = rows_of_batches(len(images), size)
        call, batches = Call.of(self.cell.session.bind(size)), tuple(images[each] for each in rows)
        few_ns = np.empty(3, np.int64)
        time_calls(call, batches, few_ns, self._read)
        calls = min(max(self._plan.block_ns // max(int(few_ns.min()), 1), 3), 500)
        self._ready[size] = _Ready(call, rows, batches, calls)
        return self._ready[size]

    def outcome(self, *, complete: bool) -> Outcome:
        """What was measured, to the last call."""
        times = {size: np.concatenate(chunks) for size, chunks in self._chunks.items()}
        times = {size: measured for size, all_ns in times.items() if (measured := all_ns[all_ns >= 0]).size}
        concluded = self.concluded(Throughput.name, BOUNDARY, measured=bool(times), complete=complete)
        points = tuple(_point(size, measured) for size, measured in sorted(times.items()))
        figures = ThroughputFigures(points, saturates_at(points), SATURATION_SHARE)
        arrays = {f"batch_{size}_ns": measured for size, measured in times.items()}
        return self.report(concluded, Throughput.name, arrays, throughput=figures)


def rows_of_batches(n: int, size: int) -> tuple[NDArray[np.int64], ...]:
    """Which of `n` inputs make up batches of a size, such that no batch is the one before it (where n is not 1)."""
    # Where a batch takes them all, the next one begins with another.
    offsets = range(0, n, size) if size < n else range(min(n, 3))
    return tuple((offset + np.arange(size)) % n for offset in offsets)


def _point(size: int, times_ns: NDArray[np.int64]) -> ThroughputPoint:
    p50_ns = nearest_rank(np.sort(times_ns), 0.5)
    return ThroughputPoint(size, times_ns.size, size / max(p50_ns, 1) * 1e9, p50_ns)


def saturates_at(points: Sequence[ThroughputPoint]) -> int | None:
    """The smallest batch that is nearly as good as the best; None if it is the largest that was tried."""
    if not points:
        return None
    enough = SATURATION_SHARE * max(point.images_per_s for point in points)
    batch = next(point.batch for point in points if point.images_per_s >= enough)
    return None if batch == points[-1].batch and len(points) > 1 else batch
