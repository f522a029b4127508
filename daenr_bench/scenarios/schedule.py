"""Frames on a fixed schedule: frame k is due at `t0 + k * period`, whatever became of the frames before it.

Latency counts from the instant a frame was due, so a call that starts late is as late as the rig sees it; a benchmark
that waits for its engine before it asks again never notices (coordinated omission). The newest frame wins: one whose
successor is due when its turn comes is skipped, and never answered. So a rate that a machine cannot keep shows as
misses and not as a longer schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from daenr_bench.measurement import WarmUp
from daenr_bench.scenarios.calling import NOT_MEASURED, Answers, Call
from daenr_export.specs import Array


class Ready(NamedTuple):
    """An engine that has been warmed up: how it is called, how its loop waits for an instant, how the warm-up went."""

    call: Call
    wait_until: Callable[[int], None]
    warm_up: WarmUp


class Frames(NamedTuple):
    """What became of frames: three instants of each `(N,)` in nanoseconds, -1 where there was none."""

    due_ns: NDArray[np.int64]
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Which have an answer."""
        return np.asarray(self.end_ns != NOT_MEASURED)

    @property
    def latency_ns(self) -> NDArray[np.int64]:
        """From due to answer, of those that have one."""
        return (self.end_ns - self.due_ns)[self.answered]

    def missed(self, deadline_ns: int) -> NDArray[np.bool_]:
        """Which were not answered within their deadline."""
        return ~self.answered | (self.end_ns - self.due_ns > deadline_ns)


@final
class Schedule:
    """Stretches of a schedule, one after the other, and what became of their frames.

    Args:
        frames: how many there will be in all.
        period_ns: between two of them.
        read: the clock that decides when one is due.
        keep: numbers of the frames whose answers are copied; where one is never answered, the next one's that is.
        kept: where to, by number.
    """

    def __init__(
        self, frames: int, period_ns: int, read: Callable[[], int], keep: Collection[int], kept: dict[int, Answers]
    ) -> None:
        self.reached = 0
        self._next_ns = 0
        self._period_ns, self._read = period_ns, read
        self._due_ns, self._start_ns, self._end_ns = (np.full(frames, NOT_MEASURED, np.int64) for _ in range(3))
        self._to_keep, self._kept = sorted(keep, reverse=True), kept

    @property
    def frames(self) -> Frames:
        """Those that were due so far."""
        return self.stretch(0, self.reached)

    def stretch(self, first: int, end: int) -> Frames:
        """Some of them, by number."""
        return Frames(self._due_ns[first:end], self._start_ns[first:end], self._end_ns[first:end])

    def run(
        self, ready: Ready, batches: Sequence[Array], count: int, *, lead_in: int = 0, resume: bool = False
    ) -> None:
        """Go through the next frames. Nothing is allocated but the numbers that the clock returns.

        Where the call raises, the frame in hand does not count, nor do those after it.

        Args:
            ready: answers a frame, and waits for the next.
            batches: inputs, taken in turn.
            count: frames.
            lead_in: frames before them on the same schedule, which are answered and not counted.
            resume: go on with the schedule of the last stretch, as if there were no break; else begin a new one.
        """
        answer, wait_until, n_batches = ready.call.run, ready.wait_until, len(batches)
        read, period_ns, start_of, end_of = self._read, self._period_ns, self._start_ns, self._end_ns
        first = self.reached
        zero_ns = self._next_ns if resume and first else read() + period_ns * (1 + lead_in)
        self._next_ns = zero_ns + period_ns * count
        for early in range(-lead_in, 0):
            wait_until(zero_ns + early * period_ns)
            answer(batches[early % n_batches])
        self._due_ns[first : first + count] = zero_ns + period_ns * np.arange(count)
        ahead = 0
        while ahead < count:
            wait_until(zero_ns + ahead * period_ns)
            start_ns = read()
            newest = (start_ns - zero_ns) // period_ns
            if newest > ahead:
                ahead = newest
                if ahead >= count:
                    break
            number = first + ahead
            answer(batches[number % n_batches])
            end_of[number] = read()
            start_of[number] = start_ns
            ahead += 1
            self.reached = number + 1
            if self._to_keep and number >= self._to_keep[-1]:
                self._kept[number] = ready.call.kept()
                while self._to_keep and self._to_keep[-1] <= number:
                    self._to_keep.pop()
        self.reached = first + count
