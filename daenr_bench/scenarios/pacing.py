"""From frames on a schedule to figures: latency from the due instant, misses, age of information, a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from daenr_bench.measurement import Block, Latency
from daenr_bench.measurement import Paced as PacedFigures
from daenr_bench.scenarios.calling import NOT_MEASURED
from daenr_bench.scenarios.schedule import Frames
from daenr_bench.statistics.age import mean_age, peak_ages
from daenr_bench.statistics.deadlines import ALLOWED_SHARE, judge_misses, longest_run
from daenr_bench.statistics.summaries import block_of, latency_of


@dataclass(frozen=True)
class Pace:
    """A schedule and its deadline.

    Attributes:
        rate_hz: frames per second.
        deadline_ns: after the due instant; None for the period, at which the next frame is due.
    """

    rate_hz: float = 100.0
    deadline_ns: int | None = None

    @property
    def period_ns(self) -> int:
        """Between two frames."""
        return round(1e9 / self.rate_hz)

    @property
    def due_within_ns(self) -> int:
        """The deadline, given or not."""
        return self.period_ns if self.deadline_ns is None else self.deadline_ns

    def settings(self) -> dict[str, Any]:
        """Plain values for the result."""
        return {"rate_hz": self.rate_hz, "period_ns": self.period_ns, "deadline_ns": self.due_within_ns}


AT_100_HZ = Pace()


def from_zero(frames: Frames, zero_ns: int) -> Frames:
    """The same instants, counted from another one."""
    return Frames(*(np.where(instants == NOT_MEASURED, NOT_MEASURED, instants - zero_ns) for instants in frames))


def stretches(frames: Frames, block: int) -> list[Frames]:
    """Frames in blocks; the last may be shorter."""
    n = len(frames.due_ns)
    return [Frames(*(instants[first : first + block] for instants in frames)) for first in range(0, n, block)]


def figures_of(frames: Frames, pace: Pace, block: int, *, keep_warm: bool) -> dict[str, Any]:
    """The fields `latency` and `paced` of a measurement.

    Args:
        frames: all that were due, at least one.
        pace: the schedule.
        block: frames without a break in the schedule.
        keep_warm: whether the engine ran while the loop waited.
    """
    answered, missed = frames.answered, frames.missed(pace.due_within_ns)
    misses, unanswered = int(missed.sum()), int((~answered).sum())
    verdict, reason = judge_misses(misses, len(missed))
    if not answered.any():
        return {}
    due_ns, start_ns, end_ns = (instants[answered] for instants in frames)
    peaks_ns, mean_ns = _ages(frames, block)
    longest = max(longest_run(stretch.missed(pace.due_within_ns)) for stretch in stretches(frames, block))
    return {
        "latency": latency_of(end_ns - due_ns, unanswered),
        "paced": PacedFigures(
            rate_hz=pace.rate_hz,
            period_ns=pace.period_ns,
            deadline_ns=pace.due_within_ns,
            keep_warm=keep_warm,
            frames=len(missed),
            late=misses - unanswered,
            skipped=unanswered,
            misses=misses,
            longest_run_of_misses=longest,
            service=latency_of(end_ns - start_ns),
            start_delay=latency_of(start_ns - due_ns),
            peak_age=peaks_ns,
            mean_age_ns=mean_ns,
            allowed_share=ALLOWED_SHARE,
            verdict=verdict.value,
            reason=reason,
            is_gate=pace.deadline_ns is not None,
        ),
    }


def blocks_of(frames: Frames, pace: Pace, block: int) -> tuple[Block, ...]:
    """A block for each stretch without a break in the schedule."""
    return tuple(_block_of(stretch, pace) for stretch in stretches(frames, block))


def _block_of(frames: Frames, pace: Pace) -> Block:
    return block_of(
        frames.latency_ns,
        start_s=float(frames.due_ns[0]) / 1e9,
        unanswered=int((~frames.answered).sum()),
        misses=int(frames.missed(pace.due_within_ns).sum()),
    )


def _ages(frames: Frames, block: int) -> tuple[Latency | None, float | None]:
    """Peak ages and the mean age. Between two blocks another cell had its turn, so ages end there."""
    peaks, means = [], []
    for stretch in stretches(frames, block):
        due_ns, end_ns = stretch.due_ns[stretch.answered], stretch.end_ns[stretch.answered]
        peaks.append(peak_ages(due_ns, end_ns))
        means.append(mean_age(due_ns, end_ns))
    all_peaks = np.concatenate(peaks)
    known = [mean for mean in means if mean is not None]
    return latency_of(all_peaks) if all_peaks.size else None, float(np.mean(known)) if known else None
