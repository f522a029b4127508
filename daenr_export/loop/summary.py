"""What a loop says of itself when it has ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import final

from daenr_export.loop.frames import Status


class Ending(StrEnum):
    """Why a loop ended."""

    SOURCE_ENDED = "the source ended"
    SOURCE_FAILED = "the source failed"
    STOPPED = "stop() was called"
    SIGINT = "SIGINT"
    SIGTERM = "SIGTERM"
    TOO_MANY_FAULTS = "too many faults in a row"


class Cause(StrEnum):
    """What a fault is the fault of."""

    FRAME = "frame"
    """It was not a `Frame`, or its id or time stamp was none."""
    IMAGE = "image"
    """It had the wrong type, shape or range."""
    BACKEND = "backend"
    HOOK = "hook"
    """It raised, overran its budget, or had not returned from an earlier frame."""
    SINK = "sink"
    """It raised, or had not returned from an earlier frame."""
    FALLBACK = "fallback"
    SOURCE = "source"
    LOG = "log"


@final
@dataclass(frozen=True)
class Summary:
    """Counts of a whole run.

    Attributes:
        ending: why the loop ended.
        frames: that the source yielded. Each has one of the four fates in `counts`.
        counts: frames by their fate.
        faults: frames by what their fault was the fault of.
        problems: the first error of each kind in one line, faults of frames or not.
        fallbacks: how many the sink was given.
        unsent: answers and fallbacks that no longer went out, because the sink was busy and newer ones had come.
        sink_errors: exceptions of the sink.
        backend_index: which session answered last: 0, or 1 for the standby.
        repeated_ids: frames with the highest id so far once more.
        backward_ids: frames with a lower id than one before.
        ahead_of_clock: frames whose time stamp lay in the future; their deadline counts from when they came.
        collections: frames during which Python collected garbage.
        log_lost: rows that the log could not keep.
        p50_ns, p99_ns: from capture until the sink had taken the answer, of the frames that were ok, rounded up by less
            than 1.6 %; None where there were fewer than 11 and 662 of them, too few to tell.
        seconds: from start to end.
    """

    ending: Ending
    frames: int
    counts: dict[Status, int]
    faults: dict[Cause, int]
    problems: dict[Cause, str]
    fallbacks: int
    unsent: int
    sink_errors: int
    backend_index: int
    repeated_ids: int
    backward_ids: int
    ahead_of_clock: int
    collections: int
    log_lost: int
    p50_ns: int | None
    p99_ns: int | None
    seconds: float

    @property
    def is_clean(self) -> bool:
        """Whether every frame was answered in time and nothing went wrong beside."""
        return self.counts[Status.OK] == self.frames and not self.problems and not self.log_lost

    def __str__(self) -> str:
        """A few lines for a terminal."""
        fates = ", ".join(f"{self.counts[status]} {status.name.lower()}" for status in Status)
        lines = [f"{self.frames} frames in {self.seconds:.1f} s: {fates}; ended because: {self.ending}"]
        known = [(name, ns) for name, ns in (("p50", self.p50_ns), ("p99", self.p99_ns)) if ns is not None]
        if known:
            lines.append("capture to sink, ok frames: " + ", ".join(f"{name} {ns / 1e6:.3f} ms" for name, ns in known))
        if self.faults:
            lines.append("faults of: " + ", ".join(f"{cause} {count}" for cause, count in self.faults.items()))
        notes = {
            "fallbacks sent": self.fallbacks,
            "answers unsent": self.unsent,
            "errors of the sink": self.sink_errors,
            "ids repeated": self.repeated_ids,
            "ids going backwards": self.backward_ids,
            "time stamps in the future": self.ahead_of_clock,
            "frames with a garbage collection": self.collections,
            "rows lost by the log": self.log_lost,
        }
        if any(notes.values()):
            lines.append(", ".join(f"{name}: {count}" for name, count in notes.items() if count))
        if self.backend_index:
            lines.append("the standby session has taken over")
        return "\n".join(lines + [f"first problem of the {cause}: {text}" for cause, text in self.problems.items()])


@final
@dataclass(slots=True)
class Counts:
    """The counters behind a summary, kept while the loop runs."""

    frames: int = 0
    fates: list[int] = field(default_factory=lambda: [0] * len(Status))
    faults: dict[Cause, int] = field(default_factory=dict)
    problems: dict[Cause, str] = field(default_factory=dict)
    fallbacks: int = 0
    unsent: int = 0
    sink_errors: int = 0
    repeated_ids: int = 0
    backward_ids: int = 0
    ahead_of_clock: int = 0
    collections: int = 0

    def note(self, cause: Cause, error: BaseException | str) -> None:
        """Keep the first problem of each kind, as text: an exception would keep the arrays of its frames alive."""
        if cause not in self.problems:
            self.problems[cause] = error if isinstance(error, str) else _one_line(error)


def _one_line(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception:  # the user's own exception class
        text = "(its message cannot be shown)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
