"""What runs cost, as measured, and what the whole grid of the paper would."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from daenr_train.sweep.grid import GRIDS, Cell
from daenr_train.sweep.progress import duration, estimated_seconds, kind_of

CLUSTER_CORES = 64

Timings = Mapping[Cell, dict[str, Any] | None]
"""The contents of timing.json by cell."""


def cost_rows(timings: Timings) -> list[tuple[str, ...]]:
    """A row for each kind of model: runs, mean seconds, mean steps per second, largest peak of memory."""
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for cell, timing in sorted(timings.items()):
        if timing:
            by_kind.setdefault(kind_of(cell.model), []).append(timing)
    return [
        (
            kind,
            str(len(found)),
            f"{statistics.fmean(timing['seconds'] for timing in found):.1f}",
            f"{statistics.fmean(timing['steps_per_second'] or 0 for timing in found):.1f}",
            f"{max(timing['peak_memory_mib'] or 0 for timing in found):.0f}",
        )
        for kind, found in by_kind.items()
    ]


def paper_cost(timings: Timings) -> str:
    """One line: the grid `paper` with its seeds, at the speed and the settings of these runs."""
    grid = GRIDS["paper"]
    cells = grid.cells({region: region for region in grid.regions}, grid.seeds)
    seconds = estimated_seconds(cells, {cell: timing["seconds"] for cell, timing in timings.items() if timing}) or 0
    return (
        f"at this speed and with these settings, the {len(cells)} runs of the grid paper take "
        f"{duration(seconds)} on one core and {duration(seconds / CLUSTER_CORES)} on {CLUSTER_CORES}"
    )
