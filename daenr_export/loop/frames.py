"""What goes through a closed loop: frames in, answers out, and the fate of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

from daenr_export.specs import Array


class Status(IntEnum):
    """The fate of a frame; every frame has exactly one. The numbers are part of the log's format."""

    OK = 0
    """The sink had taken its answer by the deadline."""
    LATE = 1
    """The deadline passed first. The fallback went out in its place, unless the sink was just taking the answer."""
    DROPPED = 2
    """Never answered: a newer frame took its place, the queue was full, or the loop ended."""
    FAULT = 3
    """The frame was unusable, or the backend, the hook or the sink failed on it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of a source.

    Attributes:
        id: the source's own number for it.
        image: what the graph takes, with its batch axis: `(1, 1, 32, 32)` float32 in [-1, 1], or uint8. The loop copies
            it before it asks the source for the next frame, so a source may use its buffer again.
        captured_ns: when it was taken, on the clock of `time.monotonic_ns`. The deadline counts from here.
    """

    id: int
    image: Array
    captured_ns: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a sink is given for one frame.

    Attributes:
        frame_id: the frame's own number.
        captured_ns: when the frame was taken.
        value: what the hook returned; without a hook the graph's outputs: an array, or a tuple of them where the graph
            has several. It belongs to the sink.
        status: OK, or what went wrong; `value` then comes from the fallback. The log has the last word: an answer that
            goes to the sink as OK is late if the sink takes too long over it.
    """

    frame_id: int
    captured_ns: int
    value: Any
    status: Status

    @property
    def is_fallback(self) -> bool:
        """Whether `value` comes from the declared fallback, not from the frame."""
        return self.status is not Status.OK


class Source(Protocol):
    """Where frames come from: anything that can be iterated. It runs in a thread of its own, and may block.

    A source that has a method `close()` is closed when the loop ends; it should make a blocked iteration return.
    """

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames until there are no more."""
        ...


class Hook(Protocol):
    """The user's own step between the model and the sink. It runs in a thread of its own, within a time budget."""

    def __call__(self, frame: Frame, outputs: Any, /) -> Any:
        """Turn the graph's outputs (an array, or a tuple of them) for a frame into the value that the sink is given."""
        ...


class Sink(Protocol):
    """Where answers go: anything that can be called. It runs in a thread of its own; what it raises is counted.

    A sink that has a method `close()` is closed when the loop ends.
    """

    def __call__(self, answer: Answer, /) -> object:
        """Take one answer."""
        ...
