"""Where values lie in the caller's state: each in the first gap that is free for as long as it lives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Life:
    """A value and the segments of the plan in which it is needed.

    Attributes:
        name: of the value.
        first: the segment that makes it.
        last: the last segment that reads it.
        floats: one image's share.
        local: whether it is made and read for one image before the next one comes: all images of a group use one place.
    """

    name: str
    first: int
    last: int
    floats: int
    local: bool


@dataclass(frozen=True)
class Place:
    """Where a value lies.

    Attributes:
        offset: from the start of the arena, in floats.
        image: floats from one image's share to the next; 0 where all images use one place.
    """

    offset: int
    image: int


def place_values(lives: Sequence[Life], images: int) -> tuple[dict[str, Place], int]:
    """The place of each value by name, and the size of the arena in floats.

    Args:
        lives: of all values, in the order in which they are made.
        images: in a group.
    """
    placed: list[tuple[Life, int, int]] = []
    for life in lives:
        size = life.floats * (1 if life.local else images)
        busy = sorted((a, b) for other, a, b in placed if other.first <= life.last and life.first <= other.last)
        start = 0
        for begin, end in busy:
            if start + size <= begin:
                break
            start = max(start, end)
        placed.append((life, start, start + size))
    places = {life.name: Place(start, 0 if life.local else life.floats) for life, start, _ in placed}
    return places, max((end for _, _, end in placed), default=0)
