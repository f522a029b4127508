"""From samples to verdicts and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from daenr_bench import eager
from daenr_bench.back_to_back import SCENARIO, Samples, Timing
from daenr_bench.cells import Cell
from daenr_bench.percentiles import nearest_rank, percentiles
from daenr_bench.result import Latency, Measurement
from daenr_common.verdict import Verdict

REFERENCES = (eager.NAME, "onnxruntime")
"""What other backends are compared with: the first that was measured."""


def judge(cells: Sequence[Cell], timed: Sequence[Cell], timing: Timing) -> tuple[Measurement, ...]:
    """One measurement for each cell, in their order.

    Args:
        cells: all.
        timed: those whose answers were right before they were timed.
        timing: their samples, in the order of `timed`.
    """
    samples_of = dict(zip(map(id, timed), timing.samples, strict=True))
    return tuple(_judge(cell, samples_of.get(id(cell))) for cell in cells)


def reference_of(measurements: Sequence[Measurement]) -> str | None:
    """The backend that others are compared with; None if none of `REFERENCES` was timed."""
    timed = {measurement.backend for measurement in measurements if measurement.latency is not None}
    return next((name for name in REFERENCES if name in timed), None)


def with_speed(measurements: Sequence[Measurement], reference: str | None) -> tuple[Measurement, ...]:
    """The same, with how many times faster than the reference each is on its graph."""
    median_of = {
        measurement.graph: p50_ns
        for measurement in measurements
        if measurement.backend == reference and (p50_ns := _p50_ns(measurement)) is not None
    }
    return tuple(_with_speed(measurement, median_of.get(measurement.graph)) for measurement in measurements)


def _with_speed(measurement: Measurement, reference_ns: int | None) -> Measurement:
    mine_ns = _p50_ns(measurement)
    if measurement.latency is None or reference_ns is None or not mine_ns:
        return measurement
    return replace(measurement, latency=replace(measurement.latency, times_faster=reference_ns / mine_ns))


def _p50_ns(measurement: Measurement) -> int | None:
    return None if measurement.latency is None else measurement.latency.percentiles["p50"].value_ns


def _judge(cell: Cell, samples: Samples | None) -> Measurement:
    problems = cell.problems
    latency = None
    if samples is not None:
        problems = cell.compare_timed(samples.kept)
        if samples.problem is not None:
            problems = (f"in timed calls: {samples.problem}", *problems)
        latency = _latency(samples.latency_ns) if samples.done and not problems else None
    verdict = Verdict.FAIL if problems else Verdict.PASS if latency is not None else Verdict.CANNOT_TELL
    return Measurement(
        graph=cell.graph,
        backend=cell.backend,
        precision=cell.precision,
        scenario=SCENARIO,
        verdict=verdict.value,
        problems=problems,
        parity={c.output: {name: float(value) for name, value in c.metrics.items()} for c in cell.comparisons},
        timed_answers_compared=0 if samples is None else len(samples.kept),
        warm_up=None if samples is None else samples.warm_up,
        latency=latency,
    )


def _latency(blocks_ns: NDArray[np.int64]) -> Latency:
    return Latency(
        n=blocks_ns.size,
        min_ns=int(blocks_ns.min()),
        mean_ns=float(blocks_ns.mean()),
        max_ns=int(blocks_ns.max()),
        percentiles=percentiles(blocks_ns),
        round_p50_ns=tuple(nearest_rank(np.sort(block), 0.5) for block in blocks_ns),
        times_faster=None,
    )
