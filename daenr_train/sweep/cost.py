"""What runs cost, on paper and as measured, and what the whole grid of the paper would."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from daenr_train.spec import ModelSpec
from daenr_train.sweep.grid import GRIDS, Cell
from daenr_train.sweep.progress import duration, estimated_seconds, kind_of
from daenr_train.sweep.work import gflop_per_step

CLUSTER_CORES = 64

LARGEST_RUN_MIB = 1536
"""What a run may hold in memory."""

HEADS = ("models", "runs", "steps a run", "core seconds a run", "steps a second", "GFLOP a step", "GFLOP/s", "peak MiB")
"""Of `cost_rows`."""


@dataclass(frozen=True)
class RunCost:
    """What one finished run cost.

    Attributes:
        steps: of fitting.
        gflop_per_step: on paper.
        core_seconds: processor time, with evaluation: a machine that others use too does not lengthen it. A fit that
            went on from a state took only some of its steps in this process; its cost is that of all.
        steps_per_second: None for a fit without steps.
        peak_mib: of its process; None where the system does not tell.
    """

    steps: int
    gflop_per_step: float
    core_seconds: float
    steps_per_second: float | None
    peak_mib: float | None

    @classmethod
    def of(cls, spec: ModelSpec, training: Mapping[str, Any], timing: Mapping[str, Any]) -> RunCost:
        """From a run's model, its training configuration and what its timing.json holds."""
        return cls(
            timing["steps"],
            gflop_per_step(spec, training["batch_size"]),
            timing["cpu_seconds"] * timing["steps"] / max(timing["steps_taken_here"], 1),
            timing["steps_per_second"],
            timing["peak_memory_mib"],
        )


Costs = Mapping[Cell, RunCost]


def cost_rows(costs: Costs) -> list[tuple[str, ...]]:
    """A row for each kind of model, under `HEADS`: means over its runs, and the largest peak of memory."""
    by_kind: dict[str, list[RunCost]] = {}
    for cell, cost in sorted(costs.items()):
        by_kind.setdefault(kind_of(cell.model), []).append(cost)
    return [(kind, *_means(found)) for kind, found in by_kind.items()]


def _means(found: Sequence[RunCost]) -> tuple[str, ...]:
    steps, seconds, gflop = (
        statistics.fmean(getattr(cost, name) for cost in found) for name in ("steps", "core_seconds", "gflop_per_step")
    )
    rate = statistics.fmean(cost.steps_per_second or 0 for cost in found)
    gflop_rate = statistics.fmean(cost.gflop_per_step * (cost.steps_per_second or 0) for cost in found)
    figures = (f"{steps:.0f}", f"{seconds:.1f}", f"{rate:.1f}", f"{gflop:.2f}", f"{gflop_rate:.0f}")
    return (str(len(found)), *figures, f"{_largest(found):.0f}")


def paper_cost(costs: Costs) -> str:
    """One line: the grid `paper` with its seeds, at the speed and the settings of these runs."""
    grid = GRIDS["paper"]
    cells = grid.cells({region: region for region in grid.regions}, grid.seeds)
    seconds = estimated_seconds(cells, {cell: cost.core_seconds for cell, cost in costs.items()}) or 0
    return (
        f"at this speed and with these settings, the {len(cells)} runs of the grid paper take "
        f"{duration(seconds)} on one core and {duration(seconds / CLUSTER_CORES)} on {CLUSTER_CORES}"
    )


def memory(costs: Costs) -> str:
    """One line: the most memory that a run held, against what it may."""
    most = _largest(costs.values())
    verb = "is within" if most <= LARGEST_RUN_MIB else "is more than"
    return f"the largest run held {most:.0f} MiB, which {verb} the {LARGEST_RUN_MIB} MiB that a run may"


def _largest(costs: Iterable[RunCost]) -> float:
    return max(cost.peak_mib or 0 for cost in costs)
