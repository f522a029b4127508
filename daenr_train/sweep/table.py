"""The table of a sweep, `results.csv` and `results.json`: decided by what has finished, not by the order of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daenr_common.files import atomic_file
from daenr_common.strict_json import encode
from daenr_train.sweep.cost import RunCost
from daenr_train.sweep.folder import SweepFolder, write_json
from daenr_train.sweep.grid import Cell
from daenr_train.sweep.plan import SCHEMA_VERSION, Run

KIND = "daenr-sweep-results"
CELL = ("region", "model", "neurons", "seed")
FIT = ("steps", "best_step", "validation_error")
IMAGES = ("mse", "psnr", "ssim")
RESPONSES = (
    "correlation_to_average",
    "correlation_single_trial",
    "correlation_normalised",
    "feve_sensorium",
    "feve_klindt",
    "poisson_loss",
)
COUNTS = ("n_scored", "n_significant", "n_insignificant")
COLUMNS = (*CELL, "status", "n_neurons", *FIT, *IMAGES, *RESPONSES, *COUNTS, "error", "digest", "recording")
"""Of results.csv: image scores are means over the test images, response scores over the neurons that could be scored;
`n_scored` counts those of `correlation_to_average`."""

TIMING = ("seconds", "steps", "steps_per_second", "peak_memory_mib", "threads", "host")
"""Of timing.csv, after the columns of the cell."""


class Table:
    """The rows of a sweep, kept in memory and written whole.

    Args:
        folder: where it is written.
        runs: all runs of the folder's plan, by cell.
    """

    def __init__(self, folder: SweepFolder, runs: Mapping[Cell, Run]) -> None:
        self.folder = folder
        self.runs = {cell: runs[cell] for cell in sorted(runs)}
        self.entries = {cell: self._entry(run) for cell, run in self.runs.items()}
        self.timings = {cell: folder.timing(run) for cell, run in self.runs.items() if self.status(cell) == "finished"}

    def status(self, cell: Cell) -> str:
        """`finished`, `failed` or `missing`."""
        return str(self.entries[cell]["status"])

    def refresh(self, cell: Cell) -> None:
        """Take note of what a run's folder holds now."""
        self.entries[cell] = self._entry(self.runs[cell])
        if self.status(cell) == "finished":
            self.timings[cell] = self.folder.timing(self.runs[cell])

    def costs(self) -> dict[Cell, RunCost]:
        """What the finished runs cost, as far as that is known."""
        known = {cell: timing for cell, timing in self.timings.items() if timing}
        return {cell: RunCost.of(self.runs[cell].spec, self.runs[cell].training, t) for cell, t in known.items()}

    def write(self) -> None:
        """Write results.csv, results.json and timing.csv."""
        plan = self.folder.plan
        write_json(
            self.folder.path / "results.json",
            {
                "schema_version": SCHEMA_VERSION,
                "kind": KIND,
                "code": next((run.code for run in self.runs.values()), ""),
                "recordings": encode(plan.recordings),
                "runs": list(self.entries.values()),
            },
        )
        _write_csv(self.folder.path / "results.csv", COLUMNS, [_row(entry) for entry in self.entries.values()])
        timings = [encode(cell) | timing for cell, timing in sorted(self.timings.items()) if timing]
        _write_csv(self.folder.path / "timing.csv", (*CELL, *TIMING), timings)

    def _entry(self, run: Run) -> dict[str, Any]:
        entry: dict[str, Any] = {
            **encode(run.cell),
            "digest": run.digest,
            "recording": run.recording,
            "first_stage": run.first_stage,
            "training": run.training,
            "spec": run.spec.to_json(),
        }
        if (scores := self.folder.scores(run)) is not None:
            per_neuron = ("per_neuron", "neuron_ids", "schema_version")
            return entry | {k: v for k, v in scores.items() if k not in per_neuron} | {"status": "finished"}
        if (error := self.folder.error(run)) is not None:
            return entry | {"status": "failed", "error": error["error"]}
        return entry | {"status": "missing"}


def _row(entry: dict[str, Any]) -> dict[str, Any]:
    responses = entry.get("responses", {})
    means = {name: score["mean"] for name, score in responses.items()}
    scored = {"n_scored": responses["correlation_to_average"]["n_scored"]} if responses else {}
    row: dict[str, Any] = entry | entry.get("fit", {}) | entry.get("images", {}) | means | scored
    return row


def _write_csv(path: Path, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with atomic_file(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
