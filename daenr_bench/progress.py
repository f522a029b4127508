"""The progress bar of a measurement: drawn between blocks of calls, on a terminal only."""

from __future__ import annotations

from tqdm import tqdm


class Bar(tqdm):  # type: ignore[type-arg]  # generic for mypy only
    """A bar without the thread that otherwise looks after it, and that could wake up in a timed call."""

    monitor_interval = 0

    def __init__(self, description: str, *, total: int, unit: str) -> None:
        super().__init__(desc=description, total=total, unit=unit, disable=None, leave=False)
