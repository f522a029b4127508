"""Warm-up: real inputs through the engine until its latency no longer changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np

from daenr_export.runtime.protocol import Bound
from daenr_export.specs import Array

BLOCK = 50
"""Runs whose median is one look at the latency."""

BLOCKS = 3
WITHIN = 1.05
"""Stable: the medians of the last three blocks lie within 5 % of each other."""

AT_MOST_S = 2.0


@dataclass(frozen=True)
class WarmUpReport:
    """What a warm-up came to.

    Attributes:
        runs: how often the engine ran.
        p50_ns: median of the last block of runs, back to back.
        stable: False where the latency still changed when the time was up, as it does on a busy machine.
        last_ns: durations of the last block of runs.
    """

    runs: int
    p50_ns: int
    stable: bool
    last_ns: tuple[int, ...]


def warm_up(
    bound: Bound,
    inputs: Sequence[Array],
    *,
    at_most_s: float = AT_MOST_S,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> WarmUpReport:
    """Run the engine on inputs in turn until its latency is stable, or the time is up.

    Real inputs, not zeros: some libraries choose their kernels, or meet their slow paths, by what they see.

    Args:
        bound: standing buffers; the last of the inputs stays in them.
        inputs: batches of the buffers' size.
        at_most_s: when to give up. At least one block is run.
        clock_ns: a monotonic clock.
    """
    medians: list[int] = []
    until = clock_ns() + round(at_most_s * 1e9)
    turns = cycle(inputs)
    while True:
        times = _time_block(bound, islice(turns, BLOCK), clock_ns)
        medians.append(sorted(times)[len(times) // 2])
        recent = medians[-BLOCKS:]
        stable = len(recent) == BLOCKS and max(recent) <= WITHIN * min(recent)
        if stable or clock_ns() >= until:
            return WarmUpReport(len(medians) * BLOCK, medians[-1], stable, tuple(times))


def _time_block(bound: Bound, inputs: islice[Array], clock_ns: Callable[[], int]) -> list[int]:
    times = []
    for batch in inputs:
        np.copyto(bound.input, batch, casting="no")
        start = clock_ns()
        bound.run()
        times.append(clock_ns() - start)
    return times
