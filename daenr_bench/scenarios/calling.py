"""The timed loop, and the quiet that it needs: between two readings of the clock there is the call and nothing else."""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daenr_export.runtime.protocol import Bound
from daenr_export.specs import Array

NOT_MEASURED = -1
"""What stands in raw samples where there is no value."""

BOUNDARY = (
    "host to host: from an image in host memory, which is copied into the session's standing buffer, to its answers in "
    "standing buffers in host memory (Session.bind); copies to and from a device and waiting for it are inside, the "
    "runtime's check of the image is outside"
)

Answers = tuple[Array, ...]


@dataclass(frozen=True)
class Call:
    """One way to have a batch answered: a function, and the buffers in which its answers then stand."""

    run: Callable[[Array], object]
    outputs: Answers

    @staticmethod
    def of(bound: Bound) -> Call:
        """Copy a batch into a session's standing buffer and run."""
        source, answer = bound.input, bound.run

        def run(batch: Array) -> None:
            source[...] = batch  # takes half as long as np.copyto
            answer()

        return Call(run, bound.outputs)

    def kept(self) -> Answers:
        """A copy of the answers that stand there."""
        return tuple(output.copy() for output in self.outputs)


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
    call: Call,
    batches: Sequence[Array],
    latency_ns: NDArray[np.int64],
    read: Callable[[], int],
    *,
    first: int = 0,
    keep: Collection[int] = (),
    kept: dict[int, Answers] | None = None,
) -> None:
    """Time calls one by one, back to back. Nothing is allocated but the numbers that the clock returns.

    Args:
        call: what is timed.
        batches: inputs, taken in turn, so that no engine can answer from memory.
        latency_ns: filled in from its start, one value for each call; where a call raises, the rest is left as it was.
        read: a clock, read right before and right after each call.
        first: number of the first call, which decides its input.
        keep: numbers of the calls whose answers are copied.
        kept: where to, by number.
    """
    run, n_batches = call.run, len(batches)
    for index, number in enumerate(range(first, first + len(latency_ns))):
        batch = batches[number % n_batches]
        start_ns = read()
        run(batch)
        latency_ns[index] = read() - start_ns
        if number in keep and kept is not None:
            kept[number] = call.kept()
