"""What the anchors of a log say of the wall clock, and instants of the log on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from daenr_export.loop.log.records import Rows

_READING_NS = 1_000_000
"""By how much two readings may disagree because a thread was interrupted between them."""

_SLEWING = 500e-6
"""How fast a clock that is being corrected may run ahead of or behind the other: the limit of NTP."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Step:
    """A jump of the wall clock, or a sleep of the machine, during which the monotonic clock of Linux stands still.

    Attributes:
        after_s: between the log's first anchor and the last one before the jump.
        by_ns: positive if the wall clock went ahead.
    """

    after_s: float
    by_ns: int


@dataclass(frozen=True)
class WallClock:
    """The wall clock during a run.

    Attributes:
        anchors: how often both clocks were read.
        opened_at: when the log was opened: UTC, ISO 8601; None if it has no anchor.
        steps: where it jumped.
        drift_ns: how far it ran ahead of the monotonic clock from the first anchor to the last, apart from the steps.
    """

    anchors: int
    opened_at: str | None
    steps: tuple[Step, ...]
    drift_ns: int


def look_at(anchors: Rows) -> WallClock:
    """Find what the wall clock did.

    Args:
        anchors: `(A,)` of a log.
    """
    if not len(anchors):
        return WallClock(0, None, (), 0)
    monotonic_ns, ahead_ns = anchors["monotonic_ns"], anchors["wall_ns"] - anchors["monotonic_ns"]
    changes_ns = np.diff(ahead_ns)
    jumps = np.abs(changes_ns) > _READING_NS + _SLEWING * np.diff(monotonic_ns)
    steps = tuple(
        Step(float(monotonic_ns[at] - monotonic_ns[0]) / 1e9, int(changes_ns[at])) for at in np.flatnonzero(jumps)
    )
    opened_at = utc(int(anchors["wall_ns"][0])).isoformat(timespec="milliseconds")
    return WallClock(len(anchors), opened_at, steps, int(changes_ns[~jumps].sum()))


def utc(wall_ns: int) -> datetime:
    """An instant of the wall clock, down to the microsecond."""
    return _EPOCH + timedelta(microseconds=wall_ns // 1000)


def on_wall_clock(monotonic_ns: NDArray[np.int64], anchors: Rows) -> NDArray[np.int64]:
    """Instants of the log in nanoseconds since 1970, by the last anchor before each of them.

    Args:
        monotonic_ns: `(N,)`.
        anchors: `(A,)`, at least one.
    """
    before = np.maximum(np.searchsorted(anchors["monotonic_ns"], monotonic_ns, side="right") - 1, 0)
    ahead_ns: NDArray[np.int64] = (anchors["wall_ns"] - anchors["monotonic_ns"])[before]
    return monotonic_ns + ahead_ns
