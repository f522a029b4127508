"""The timed loop, and the quiet that it needs: between two readings of the clock there is the call and nothing else."""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from daenr_bench.clocks import Clock
from daenr_export.specs import Array

Answers = tuple[Array, ...]
Run = Callable[[Array], Answers]


@contextmanager
def quiet_gc() -> Iterator[None]:
    """Collect garbage now and not again until the end; what the collector did before is restored."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


def time_calls(
    run: Run,
    batches: Sequence[Array],
    latency_ns: NDArray[np.int64],
    *,
    clock: Clock,
    first: int = 0,
    keep: Collection[int] = (),
) -> dict[int, Answers]:
    """Time calls one by one, back to back.

    Args:
        run: what is timed.
        batches: inputs, taken in turn, so that no engine can answer from memory.
        latency_ns: filled in, one value for each call.
        clock: is read right before and right after each call.
        first: number of the first call, which decides its input.
        keep: numbers of the calls whose answers are returned.

    Returns:
        Answers by the number of their call.
    """
    kept: dict[int, Answers] = {}
    n_batches = len(batches)
    for index in range(len(latency_ns)):
        number = first + index
        batch = batches[number % n_batches]
        start_ns = clock()
        answers = run(batch)
        latency_ns[index] = clock() - start_ns
        if number in keep:
            kept[number] = answers
    return kept
