"""The scenario "cold": from nothing to the first answer, each time in a new process.

It is what a rig waits for after a crash. Where files are read from the disk for the first time after the machine
started, it takes longer still: here they are in the page cache.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from daenr_bench.cells import Cell
from daenr_bench.measurement import Cold as ColdFigures
from daenr_bench.measurement import State
from daenr_bench.peers.registry import PEERS
from daenr_bench.progress import Bar
from daenr_bench.scenarios import cold_process
from daenr_bench.scenarios.tracks import Bench, Outcome, Track, joined, turns
from daenr_bench.statistics.summaries import spread_of
from daenr_common.errors import DaenrError

STAGES = ("interpreter", "import", "open", "first answer")

BOUNDARY = (
    "in a new process, by the system-wide monotonic clock. interpreter: from the start of the process to Python's "
    "first line; import: the runtime and the backend's library; open: the bundle is opened, what is "
    "used of it hashed and the graph opened on the backend; first answer: one call of Session.run. Files are in the "
    "page cache; reading the image between open and first answer does not count"
)


@dataclass(frozen=True)
class Cold:
    """How much is measured.

    Attributes:
        repeats: processes for each cell.
        timeout_s: after which a process is stopped and its cell is a fault.
    """

    name: ClassVar[str] = "cold"
    boundary: ClassVar[str] = BOUNDARY
    all_graphs: ClassVar[bool] = False

    repeats: int = 5
    timeout_s: float = 120.0

    def settings(self) -> dict[str, Any]:
        """Plain values for the result."""
        return {"repeats": self.repeats, "timeout_s": self.timeout_s}

    def measure(self, cells: Sequence[Cell], bench: Bench) -> Outcome:
        """Start the processes, cells in turns, one process at a time."""
        tracks = [_Cold(cell, self, bench) for cell in cells]
        complete = False
        try:
            with Bar(self.name, total=len(cells) * self.repeats, unit="process") as bar:
                for number in range(self.repeats):
                    for index in turns(len(cells), number, self.repeats):
                        tracks[index].attempt(tracks[index].start_once)
                        bar.update()
            complete = True
        except KeyboardInterrupt:
            pass
        return joined([track.outcome(complete=complete) for track in tracks], complete=complete)


def command_of(bundle: Path, graph: str, backend: str, checkpoint: Path | None, image: int = 0) -> list[str]:
    """The process that opens one graph and answers one image.

    Args:
        bundle: path.
        graph: of the bundle.
        backend: name of a backend or of a peer.
        checkpoint: what peers run that need one.
        image: which of the golden inputs.
    """
    arguments = [str(bundle.absolute()), graph, backend, str(image)]
    if backend in PEERS:
        arguments += ["peer", *([] if checkpoint is None else [str(checkpoint.absolute())])]
    return [sys.executable, "-P", str(Path(cold_process.__file__)), *arguments]


class _Cold(Track):
    """A cell's processes: the stages of each `(stages,)`."""

    def __init__(self, cell: Cell, plan: Cold, bench: Bench) -> None:
        super().__init__(cell)
        self._plan = plan
        self._bench = bench
        # Each process is asked another image, so that none can answer what an earlier one left behind.
        self._images = np.random.default_rng(bench.seed).permutation(len(cell.inputs)).tolist()
        self._can_start = cell.backend not in bench.made_by_caller
        self._stages_ns: list[tuple[int, ...]] = []

    def start_once(self) -> None:
        """Start a process and wait for its answer."""
        if not self._can_start:
            return
        image = self._images[len(self._stages_ns) % len(self._images)]
        bench, cell = self._bench, self.cell
        command = command_of(bench.bundle.path, cell.graph, cell.backend, bench.checkpoint, image)
        spawned_ns = time.perf_counter_ns()
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=self._plan.timeout_s)
        except subprocess.TimeoutExpired as error:
            problem = f"gave no answer within {self._plan.timeout_s:g} s of its start"
            raise DaenrError(f"a new process with {self.cell.backend}", problem, "try another backend") from error
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            problem = f"ended with {done.returncode} ({last})"
            raise DaenrError(f"a new process with {self.cell.backend}", problem, "try another backend")
        said = json.loads(done.stdout.splitlines()[-1])
        outputs = zip(self.cell.session.spec.outputs, said["answers"], strict=True)
        answers = (np.array(values, output.numpy_dtype).reshape(1, *output.shape) for output, values in outputs)
        self.keep_rows(tuple(answers), [image])
        self._stages_ns.append(
            (
                said["started"] - spawned_ns,
                said["imported"] - said["started"],
                said["opened"] - said["imported"],
                said["answered"] - said["asked"],
            )
        )

    def outcome(self, *, complete: bool) -> Outcome:
        """What was measured."""
        concluded = self.concluded(Cold.name, BOUNDARY, measured=bool(self._stages_ns), complete=complete)
        if not self._can_start:
            reason = f"{self.cell.backend} was made by the caller, and a new process could not make it again"
            return Outcome((replace(concluded, state=State.CANNOT_TELL.value, problems=(reason,)),), {}, complete)
        if not self._stages_ns:
            return Outcome((concluded,), {}, complete)
        stages_ns = np.array(self._stages_ns, np.int64)
        arrays = {f"{name.replace(' ', '_')}_ns": stages_ns[:, index] for index, name in enumerate(STAGES)}
        figures = ColdFigures(
            repeats=len(stages_ns),
            with_import=spread_of(stages_ns.sum(axis=1)),
            without_import=spread_of(stages_ns[:, 2:].sum(axis=1)),
            stages={name: spread_of(stages_ns[:, index]) for index, name in enumerate(STAGES)},
        )
        return self.report(concluded, Cold.name, arrays, cold=figures)
