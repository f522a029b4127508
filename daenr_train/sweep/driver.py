"""The loop of a sweep: hands ready runs to an engine, writes what comes back, and stops cleanly."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

from daenr_common.errors import Interrupted
from daenr_train.fit.interruption import StopRequest
from daenr_train.sweep.engine import Engine
from daenr_train.sweep.folder import SweepFolder, read_json
from daenr_train.sweep.grid import Cell
from daenr_train.sweep.job import Job, Outcome, Status
from daenr_train.sweep.plan import Run
from daenr_train.sweep.progress import Progress, Stopwatch
from daenr_train.sweep.table import Table

ATTEMPTS = 2
"""How often a run whose process died is started before it counts as failed."""

POLL_S = 0.2
WRITE_TABLE_EVERY_S = 10.0


@dataclass(frozen=True)
class Options:
    """How a sweep is driven.

    Attributes:
        keep_checkpoints: whether each run's checkpoint is kept.
        retry_failed: whether runs that failed before are tried again.
    """

    keep_checkpoints: bool = False
    retry_failed: bool = False


class Driver:
    """Drives the runs of a sweep; alone writes its results.

    Args:
        folder: the sweep's folder.
        runs: all runs of the folder's plan.
        wanted: the cells that this sweep was asked for.
        engine: what executes them.
        options: how.
    """

    def __init__(
        self, folder: SweepFolder, runs: Mapping[Cell, Run], wanted: tuple[Cell, ...], engine: Engine, options: Options
    ) -> None:
        self.folder, self.runs, self.engine, self.options = folder, runs, engine, options
        self.table = Table(folder, runs)
        if options.retry_failed:
            self._forget_failures(wanted)
        order = {cell: number for number, cell in enumerate(runs)}
        missing = (cell for cell in wanted if self.table.status(cell) == "missing")
        self.waiting = deque(sorted(missing, key=order.__getitem__))
        self.under_way: dict[str, Cell] = {}
        self.attempts: Counter[Cell] = Counter()
        known = {cell: timing["seconds"] for cell, timing in self.table.timings.items() if timing}
        self.stopwatch = Stopwatch(known)

    def drive(self, stop: StopRequest, progress: Progress) -> None:
        """Execute all that is missing.

        Raises:
            Interrupted: a stop was requested; states are saved, and the table holds what has finished.
            DaenrError: no further run can succeed (the disk is full), or the engine is gone.
        """
        self.table.write()
        written_at = time.monotonic()
        try:
            while (self.waiting or self.under_way) and not stop.is_set:
                self._hand_out(progress)
                for outcome in self.engine.wait(POLL_S):
                    self._take(outcome, progress)
                if time.monotonic() - written_at > WRITE_TABLE_EVERY_S:
                    self.table.write()
                    written_at = time.monotonic()
            if self.under_way:
                for outcome in self.engine.stop():
                    if outcome.status is not Status.CRASHED:  # by our own request
                        self._take(outcome, progress)
        finally:
            self.table.write()
        if self.waiting or self.under_way:
            counts = Counter(self.table.status(cell) for cell in self.runs)
            raise Interrupted(
                f"interrupted with {counts['finished']} of {len(self.runs)} runs finished; "
                "the same command with --resume goes on"
            )

    def _forget_failures(self, cells: tuple[Cell, ...]) -> None:
        for cell in cells:
            if self.table.status(cell) == "failed":
                self.folder.forget_failure(self.runs[cell])
                self.table.refresh(cell)

    def _hand_out(self, progress: Progress) -> None:
        for _ in range(len(self.waiting)):
            if len(self.under_way) >= self.engine.capacity:
                return
            cell = self.waiting.popleft()
            first = cell.first_stage
            if first and self.table.status(first) == "missing":
                self.waiting.append(cell)  # its turn comes when the first stage has ended
                continue
            run = self.runs[cell]
            state_path = self.folder.begin(run)
            if first and self.table.status(first) == "failed":
                self._fail(cell, f"its first stage failed: {self.table.entries[first]['error']}")
                progress.ended(cell, None)
                continue
            self.under_way[run.digest] = cell
            self.attempts[cell] += 1
            self.stopwatch.start(cell)
            self.engine.submit(Job(run, self._neuron_ids(cell), state_path, self.options.keep_checkpoints))

    def _neuron_ids(self, cell: Cell) -> tuple[str, ...] | None:
        """The neurons of a second stage, from the scores of the first."""
        if cell.first_stage is None:
            return None
        scores = read_json(self.folder.of_run(self.runs[cell.first_stage]) / "scores.json")
        wanted = cell.neurons == "significant"
        pairs = zip(scores["neuron_ids"], scores["per_neuron"]["significant"], strict=True)
        return tuple(neuron for neuron, significant in pairs if significant == wanted)

    def _take(self, outcome: Outcome, progress: Progress) -> None:
        cell = self.under_way.pop(outcome.digest)
        run = self.runs[cell]
        self.stopwatch.end(cell, finished=outcome.status is Status.FINISHED)
        if outcome.stops_the_sweep is not None:
            raise outcome.stops_the_sweep
        if outcome.status is Status.INTERRUPTED or (
            outcome.status is Status.CRASHED and self.attempts[cell] < ATTEMPTS
        ):
            self.waiting.appendleft(cell)
            return
        if outcome.status is Status.FINISHED:
            assert outcome.scores is not None
            assert outcome.timing is not None
            named = {"examples.npz": outcome.examples, "checkpoint.pt": outcome.checkpoint}
            files = {name: content for name, content in named.items() if content is not None}
            self.folder.finish(run, outcome.scores, files, outcome.timing)
            self.table.refresh(cell)
        else:
            self._fail(cell, outcome.error, outcome.traceback)
        progress.ended(cell, self.stopwatch.remaining_s(self.waiting, self.engine.capacity))

    def _fail(self, cell: Cell, error: str, traceback: str = "") -> None:
        self.folder.fail(self.runs[cell], error, traceback, attempts=self.attempts[cell])
        self.table.refresh(cell)
