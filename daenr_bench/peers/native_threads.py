"""How many threads a library starts: asked from the system, since most libraries do not tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_TASKS = Path("/proc/self/task")


def counting_threads(make: Callable[[], T]) -> tuple[T, int | None]:
    """Make something that starts its threads at once.

    Returns:
        It, and how many threads compute: those that are new, and the caller's. None where the system does not say
        (other than Linux).
    """
    before = _threads()
    made = make()
    after = _threads()
    return made, None if before is None or after is None else len(after - before) + 1


def _threads() -> set[str] | None:
    return {task.name for task in _TASKS.iterdir()} if _TASKS.is_dir() else None
