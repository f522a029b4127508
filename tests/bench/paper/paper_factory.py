"""Sweeps with invented scores, written by the real folder and table, so that their format is that of a real sweep."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from daenr_train.fit.config import TrainingConfig
from daenr_train.sweep.folder import Plan, SweepFolder, open_folder
from daenr_train.sweep.grid import GRIDS, Cell
from daenr_train.sweep.plan import PlannedCell, RecordingFacts, plan_runs
from daenr_train.sweep.table import Table

N_NEURONS = 12

Scores = dict[str, Any]
Invent = Callable[[Cell], Scores | str | None]
"""Scores of a cell; a text is the error of a failed run, None a run that is still to come."""

REAL = {"simulated": False, "published": True}


def facts(region: str, **changes: Any) -> RecordingFacts:
    """A recording of a region that need not exist."""
    known = RecordingFacts(region.ljust(64, "0"), "insilico", True, False, 1800, N_NEURONS, 50, 10)
    return replace(known, **changes)


def grid_cells(name: str, seeds: Iterable[int], regions: Iterable[str] = ("1", "2", "3")) -> tuple[Cell, ...]:
    """The cells of a named grid."""
    return GRIDS[name].cells({region: f"region{region}" for region in regions}, tuple(seeds))


def write_sweep(path: Path, cells: Iterable[Cell], invent: Invent, **recording: Any) -> Path:
    """A sweep's folder with invented results."""
    cells = tuple(sorted(cells))
    recordings = {cell.region: facts(cell.region, **recording) for cell in cells}
    planned = tuple(
        PlannedCell(cell.region, cell.model, cell.neurons, cell.seed, TrainingConfig(seed=cell.seed).to_json())
        for cell in cells
    )
    with open_folder(path, Plan(recordings, planned), resume=False) as folder:
        runs = plan_runs(planned, recordings, "c0de" * 16)
        for cell, run in runs.items():
            _finish(folder, run, invent(cell))
        Table(folder, runs).write()
    return path


def _finish(folder: SweepFolder, run: Any, scores: Scores | str | None) -> None:
    if scores is None:
        return
    folder.begin(run)
    if isinstance(scores, str):
        folder.fail(run, scores, "", attempts=1)
        return
    timing = {"steps": 300, "steps_taken_here": 300, "seconds": 30.0, "cpu_seconds": 30.0, "threads": 1}
    timing |= {"steps_per_second": 10.0, "peak_memory_mib": 500.0, "host": "rig"}
    files = {"examples.npz": examples(run.cell)} if "images" in scores else {}
    folder.finish(run, scores, files, timing)


def examples(cell: Cell) -> bytes:
    """Ten images, and something like them."""
    images = np.random.default_rng(0).uniform(-1, 1, (10, 1, 32, 32)).astype(np.float32)
    noise = np.random.default_rng(zlib.crc32(cell.model.encode())).normal(0, 0.2, images.shape)
    buffer = io.BytesIO()
    np.savez(buffer, images=images, reconstructions=np.clip(images + noise, -1, 1).astype(np.float32))
    return buffer.getvalue()


def scores_of(cell: Cell, *, mse: float, correlation: float, unscored: int = 0) -> Scores:
    """What a finished run's scores.json holds, from two figures.

    Args:
        cell: whose.
        mse: of the reconstructions; PSNR and SSIM follow from it.
        correlation: mean over neurons, which spread around it.
        unscored: neurons without a correlation.
    """
    found: Scores = {"fit": {"steps": 300, "best_step": 250, "validation_error": 1.0}, "n_neurons": 0}
    if not cell.model.startswith("cnn"):
        found["images"] = {"mse": mse, "psnr": float(10 * np.log10(4 / mse)), "ssim": 1 - 5 * mse, "n_images": 50}
    if "-" in cell.model:
        found |= _responses(correlation, unscored)
    return found


def _responses(correlation: float, unscored: int) -> Scores:
    spread = np.linspace(-0.3, 0.3, N_NEURONS - unscored)
    scored = [*(correlation + spread).tolist(), *[None] * unscored]
    significant = [value is not None and value > 0.28 for value in scored]
    mean = float(np.mean(correlation + spread)) if len(spread) else None
    summary = {"mean": mean, "n_scored": len(spread)}
    halved = [None if value is None else value / 2 for value in scored]
    return {
        "n_neurons": N_NEURONS,
        "neuron_ids": [f"n{k}" for k in range(N_NEURONS)],
        "responses": {
            "correlation_to_average": summary,
            "correlation_single_trial": summary | {"mean": None if mean is None else mean / 2},
        },
        "per_neuron": {
            "correlation_to_average": scored,
            "correlation_single_trial": halved,
            "significant": significant,
        },
        "n_significant": sum(significant),
        "n_insignificant": N_NEURONS - sum(significant),
    }


def plausible(cell: Cell) -> Scores:
    """Scores in which joint models are better than their baselines, a little more than seeds vary."""
    joint = "-" in cell.model and not cell.model.startswith("cnn")
    noise = np.random.default_rng(zlib.crc32(str(cell).encode())).normal(0, 1, 2)
    trunk = {"cae": 0.05, "vae": 0.1, "vqvae": 0.08, "cnn": 0.0}[cell.model.partition("-")[0]]
    mse = trunk + 0.002 * float(noise[0]) - 0.01 * joint + 0.02 * (cell.neurons == "insignificant")
    return scores_of(cell, mse=max(mse, 0.001), correlation=0.35 + 0.03 * joint + 0.01 * float(noise[1]))
