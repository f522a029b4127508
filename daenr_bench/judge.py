"""From samples to verdicts and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from daenr_bench.cells import Cell
from daenr_bench.measurement import Measurement
from daenr_bench.peers.registry import TORCH
from daenr_bench.result import Accuracy
from daenr_common.verdict import Verdict

REFERENCES = (TORCH, "onnxruntime")
"""What other backends are compared with: the first that was measured."""


def accuracy_of(cells: Sequence[Cell]) -> tuple[Accuracy, ...]:
    """Whether each cell answers as the checkpoint did."""
    return tuple(
        Accuracy(
            graph=cell.graph,
            backend=cell.backend,
            precision=cell.precision,
            verdict=(Verdict.FAIL if cell.problems else Verdict.PASS).value,
            problems=cell.problems,
            parity={c.output: {name: float(value) for name, value in c.metrics.items()} for c in cell.comparisons},
        )
        for cell in cells
    )


def reference_of(measurements: Sequence[Measurement]) -> str | None:
    """The backend that others are compared with; None if none of `REFERENCES` was timed."""
    timed = {m.backend for m in measurements if m.latency is not None or m.cold is not None}
    return next((name for name in REFERENCES if name in timed), None)


def with_speed(measurements: Sequence[Measurement], reference: str | None) -> tuple[Measurement, ...]:
    """The same, with how many times faster than the reference each is on its graph in its scenario."""
    reference_ns = {
        (measurement.graph, measurement.scenario): median_ns
        for measurement in measurements
        if measurement.backend == reference and (median_ns := _median_ns(measurement))
    }
    return tuple(_with_speed(m, reference_ns.get((m.graph, m.scenario))) for m in measurements)


def _with_speed(measurement: Measurement, reference_ns: int | None) -> Measurement:
    mine_ns = _median_ns(measurement)
    if reference_ns is None or not mine_ns:
        return measurement
    return replace(measurement, times_faster=reference_ns / mine_ns)


def _median_ns(measurement: Measurement) -> int | None:
    """What a scenario is compared by: the median call, or the median start."""
    if measurement.cold is not None:
        return measurement.cold.with_import.median_ns
    return None if measurement.latency is None else measurement.latency.percentiles["p50"].value_ns
