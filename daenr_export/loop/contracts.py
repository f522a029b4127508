"""What a loop needs of a session and of a log, and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from daenr_export.specs import Array, GraphSpec


class LoopSession(Protocol):
    """What answers images, in the thread that runs the loop: what `model.realtime(...)` returns."""

    @property
    def spec(self) -> GraphSpec:
        """Input, outputs and batch range of the graph that is open."""
        ...

    @property
    def keep_warm(self) -> bool:
        """Whether the engine is to run on the last image while the loop waits for the next."""
        ...

    def __call__(self, image: Array, /) -> Any:
        """Answer one image.

        Raises:
            ImageError: the image is unusable; any other exception says that the backend failed.
        """
        ...

    def wait_for(self, ready: Callable[[], bool], until_ns: int, /) -> bool:
        """Wait until `ready()`, or until an instant of `time.monotonic_ns`; return whether it is ready."""
        ...


class Log(Protocol):
    """Takes one row for each frame: `daenr_export.loop.log.FrameLog`. It neither blocks nor raises."""

    @property
    def lost(self) -> int:
        """Rows that could not be kept."""
        ...

    @property
    def error(self) -> str | None:
        """Why, in one line; None if nothing failed."""
        ...

    def append(
        self,
        frame_id: int,
        captured_ns: int,
        enqueued_ns: int,
        started_ns: int,
        inferred_ns: int,
        hooked_ns: int,
        emitted_ns: int,
        status: int,
        drops_before: int,
        backend_index: int,
        gc_ran: bool,
        /,
    ) -> None:
        """Keep a row; instants on `time.monotonic_ns`, 0 for one that never came."""
        ...

    def close(self) -> None:
        """Write what is left and close the file."""
        ...
