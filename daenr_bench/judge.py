"""From samples to verdicts and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from daenr_bench.cells import Cell
from daenr_bench.measurement import Measurement
from daenr_bench.peers.registry import TORCH
from daenr_bench.reference import ANSWERS, RECORDED
from daenr_bench.result import Accuracy, Parity
from daenr_bench.result_files import Samples
from daenr_bench.yardstick import Yardstick
from daenr_common.verdict import Verdict
from daenr_export.bundle.golden import key
from daenr_export.verification.parity import Comparison, Tolerance
from daenr_train.metrics.ceilings import average

REFERENCES = (TORCH, "onnxruntime")
"""What other backends are compared with: the first that was measured."""


def accuracy_of(cells: Sequence[Cell]) -> tuple[tuple[Accuracy, ...], Samples]:
    """Whether each cell answers as the reference does, and its figures by neuron, by their keys in the npz."""
    found = [_accuracy(cell) for cell in cells]
    arrays = {
        accuracy.by_neuron[name]: values
        for accuracy, cell in zip(found, cells, strict=True)
        for name, values in cell.science.by_neuron.items()
    }
    return tuple(found), arrays


def _accuracy(cell: Cell) -> Accuracy:
    return Accuracy(
        graph=cell.graph,
        backend=cell.backend,
        precision=cell.precision,
        against=cell.against,
        verdict=_passed(cell.problems),
        problems=cell.problems,
        parity=tuple(
            _parity(comparison, batch, cell.tolerance)
            for batch, comparisons in cell.comparisons.items()
            for comparison in comparisons
        ),
        science=cell.science.findings,
        by_neuron={name: f"accuracy.{cell.graph}.{cell.backend}.{name}" for name in cell.science.by_neuron},
    )


def _parity(comparison: Comparison, batch: int, tolerance: Tolerance) -> Parity:
    metrics = {name: float(value) for name, value in comparison.metrics.items()}
    margins = {name: value for name, value in asdict(tolerance).items() if name in metrics}
    problems = comparison.problems
    return Parity(comparison.output, batch, metrics, margins, _passed(problems), problems)


def _passed(problems: Sequence[str]) -> str:
    return Verdict.FAIL.value if problems else Verdict.PASS.value


def answers_to_save(cells: Sequence[Cell], yardstick: Yardstick) -> tuple[dict[str, str], Samples]:
    """The answers that may be a reference elsewhere, on each graph of the first of `REFERENCES` or else of any.

    Only float32 will do: what is less precise would call precise engines wrong.

    Args:
        cells: whose answers are right.
        yardstick: with the recorded responses, whose averages over repeats go with the answers.

    Returns:
        The backend by graph, and the arrays by their keys in the npz.
    """
    chosen: dict[str, Cell] = {}
    order = {name: index for index, name in enumerate(REFERENCES)}
    for cell in sorted(cells, key=lambda cell: order.get(cell.backend, len(order))):
        if cell.precision == "fp32":
            chosen.setdefault(cell.graph, cell)
    arrays = {
        f"{ANSWERS}{key(cell.graph, output)}": answer
        for cell in chosen.values()
        for output, answer in cell.answers.items()
    }
    recorded = yardstick.held_out.recorded
    if chosen and recorded is not None:
        arrays[RECORDED] = average(recorded)[np.newaxis].astype(np.float32)
    return {cell.graph: cell.backend for cell in chosen.values()}, arrays


def reference_of(measurements: Sequence[Measurement]) -> str | None:
    """The backend that others are compared with; None if none of `REFERENCES` was timed."""
    timed = {m.backend for m in measurements if m.latency is not None or m.cold is not None}
    return next((name for name in REFERENCES if name in timed), None)


def with_speed(measurements: Sequence[Measurement], reference: str | None) -> tuple[Measurement, ...]:
    """The same, with how many times faster than the reference each is on its graph in its scenario."""
    reference_ns = {
        (measurement.graph, measurement.scenario): median_ns
        for measurement in measurements
        if measurement.backend == reference and (median_ns := measurement.median_ns)
    }
    return tuple(_with_speed(m, reference_ns.get((m.graph, m.scenario))) for m in measurements)


def _with_speed(measurement: Measurement, reference_ns: int | None) -> Measurement:
    mine_ns = measurement.median_ns
    if reference_ns is None or not mine_ns:
        return measurement
    return replace(measurement, times_faster=reference_ns / mine_ns)
