"""The wall clock beside the monotonic one, so that a clock that is stepped or drifts can be seen afterwards."""

from __future__ import annotations

import time
from typing import NamedTuple

_TRIES = 3


class Anchor(NamedTuple):
    """Both clocks at one instant."""

    monotonic_ns: int
    wall_ns: int


def read_clocks() -> Anchor:
    """Read the wall clock between two readings of the monotonic one; of a few tries the least disturbed counts."""
    _, anchor = min(_read_once() for _ in range(_TRIES))
    return anchor


def _read_once() -> tuple[int, Anchor]:
    before = time.monotonic_ns()
    wall_ns = time.time_ns()
    width = time.monotonic_ns() - before
    return width, Anchor(before + width // 2, wall_ns)
