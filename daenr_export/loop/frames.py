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
    LATE = 1
    """Answered, but after the deadline; the fallback went out in its place."""
    DROPPED = 2
    """Never answered: a newer frame took its place, or the queue was full."""
    FAULT = 3
    """The frame was unusable, or the backend, the hook or the sink failed on it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of a source.

    Attributes:
        id: the source's own number for it.
        image: what the graph takes, with its batch axis: `(1, 1, 32, 32)` float32 in [-1, 1], or uint8.
        captured_ns: when it was taken, on the clock of `time.monotonic_ns`.
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
        status: OK, or what went wrong; `value` then comes from the fallback.
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


class Sink(Protocol):
    """Where answers go: anything that can be called. It runs in a thread of its own; what it raises is counted.

    A sink that has a method `close()` is closed when the loop ends.
    """

    def __call__(self, answer: Answer, /) -> object:
        """Take one answer."""
        ...
