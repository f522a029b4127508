"""From samples to verdicts and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from daenr_bench import eager
from daenr_bench.back_to_back import SCENARIO, Samples, Timing
from daenr_bench.cells import Cell
from daenr_bench.measurement import Block, Latency, Measurement, State
from daenr_bench.result import Accuracy
from daenr_bench.statistics.histogram import histogram
from daenr_bench.statistics.percentiles import nearest_rank, percentile, percentiles
from daenr_common.verdict import Verdict

BOUNDARY = (
    "host to host: the clock is read right before and right after one call of Session.run, which takes a C-contiguous "
    "array in host memory and returns arrays in host memory; copies to and from a device and waiting for it are "
    "inside, the runtime's check of the image is outside; the next call starts when the last one returned"
)

REFERENCES = (eager.NAME, "onnxruntime")
"""What other backends are compared with: the first that was measured."""


def judge(cells: Sequence[Cell], timing: Timing) -> tuple[Measurement, ...]:
    """One measurement for each cell that was timed, in their order."""
    return tuple(_judge(cell, samples, timing) for cell, samples in zip(cells, timing.samples, strict=True))


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
    if reference_ns is None or not mine_ns:
        return measurement
    return replace(measurement, times_faster=reference_ns / mine_ns)


def _p50_ns(measurement: Measurement) -> int | None:
    return None if measurement.latency is None else measurement.latency.percentiles["p50"].value_ns


def _judge(cell: Cell, samples: Samples, timing: Timing) -> Measurement:
    problems = cell.compare_timed(samples.kept)
    has_figure = samples.done > 0 and not problems
    state = State.FAIL if problems else State.PASS if has_figure else State.CANNOT_TELL
    if samples.problem is not None and state is not State.FAIL:
        state, problems = State.FAULT, (f"in timed calls: {samples.problem}",)
    return Measurement(
        graph=cell.graph,
        backend=cell.backend,
        scenario=SCENARIO,
        timing_boundary=BOUNDARY,
        state=state.value,
        complete=timing.complete and samples.problem is None,
        problems=problems,
        timed_answers_compared=len(samples.kept),
        warm_up=samples.warm_up,
        latency=latency_of(samples.latency_ns) if has_figure else None,
        blocks=tuple(map(_block, samples.latency_ns)) if has_figure else (),
        samples={"latency_ns": f"{cell.graph}.{cell.backend}.{SCENARIO}.latency_ns"} if has_figure else {},
    )


def latency_of(times_ns: NDArray[np.int64]) -> Latency:
    """The figures of a sample of at least one, of any shape."""
    return Latency(
        n=times_ns.size,
        unanswered=0,
        min_ns=int(times_ns.min()),
        mean_ns=float(times_ns.mean()),
        max_ns=int(times_ns.max()),
        percentiles=percentiles(times_ns),
        histogram=histogram(times_ns),
    )


def _block(times_ns: NDArray[np.int64]) -> Block:
    ascending_ns = np.sort(times_ns)
    return Block(
        start_s=None,
        n=len(ascending_ns),
        p50_ns=nearest_rank(ascending_ns, 0.5),
        p99_ns=percentile(ascending_ns, 0.99).value_ns,
        max_ns=int(ascending_ns[-1]),
    )
