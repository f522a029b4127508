"""The frame log of a running loop: `append` puts a row into memory, a thread of its own puts rows on the disk."""

from __future__ import annotations

import atexit
import json
import os
import threading
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Self, final

import numpy as np

from daenr_common.errors import DaenrError
from daenr_export.loop.log.clocks import read_clocks
from daenr_export.loop.log.header import LogHeader
from daenr_export.loop.log.output import Output
from daenr_export.loop.log.records import ANCHOR, ANCHORS, END, ROW, ROWS, block
from daenr_export.loop.log.ring import Ring

_BLOCK_ROWS = 4096  # so that copying them holds the interpreter's lock for tens of microseconds
_ANCHOR_EVERY_NS = 1_000_000_000
_PATIENCE_S = 5.0


@final
class FrameLog:
    """Writes a row for each frame to a file, in the format that `records` describes.

    A process that is killed loses the rows of the last `flush_ms`, and of what the system takes to wake a thread; the
    file stays readable. Open the log before a thread is pinned or made a real-time one, or the writing thread inherits
    both.

    Args:
        path: the file to make.
        header: what the log says of its run.
        flush_ms: how often rows go to the disk.
        capacity: rows that can wait for the disk, 64 bytes each.
        force: replace the file if it exists.

    Raises:
        OutputExistsError: the file exists and `force` is false.
        DaenrError: the file cannot be written, or a setting is not positive.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        header: LogHeader,
        flush_ms: float = 50,
        capacity: int = 65536,
        force: bool = False,
    ) -> None:
        if not flush_ms > 0 or capacity < 1:
            raise DaenrError("flush_ms, capacity", f"are {flush_ms} and {capacity}", "give positive numbers")
        self.path = Path(path)
        beginning = header.to_bytes()
        self._flush_s = flush_ms / 1000
        self._ring = Ring(capacity)
        self._written = self._waiting = 0
        self._next_anchor_ns = 0
        self._output = Output(self.path, force=force)
        if not self._output.write(beginning) or not self._write_anchor():
            self._output.discard()
            raise DaenrError(self.path, self._output.problem or "cannot be written", "choose another output")
        self._stop = threading.Event()
        self._thread: threading.Thread | None = threading.Thread(target=self._drain, name="frame log", daemon=True)
        self._thread.start()
        atexit.register(self.close)
        _OPEN.add(self)

    @property
    def lost(self) -> int:
        """Rows that will never be in the file: the ring was full, the log closed, or the disk full to the end."""
        return self._ring.lost

    @property
    def error(self) -> str | None:
        """The first failure to write or to take a row, in one line; None while there is none."""
        problem = self._output.problem or self._ring.misfit
        return None if problem is None else f"{self.path}: {problem}"

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
    ) -> None:
        """Add the row of a frame. Takes a microsecond or two, waits for no disk and raises nothing; for any thread.

        A row that cannot be taken is counted in `lost`.

        Args:
            frame_id: the source's own number.
            captured_ns: when the frame was taken. All instants are of `time.monotonic_ns`; 0 if it never came.
            enqueued_ns: when the loop had it.
            started_ns: when its inference began.
            inferred_ns: when its inference had ended.
            hooked_ns: when the user's hook had returned.
            emitted_ns: when the sink had taken an answer, the frame's own or the fallback.
            status: a `Status`.
            drops_before: frames that were dropped between the last one that was not and this one.
            backend_index: in `LogHeader.backends`; -1 if none ran.
            gc_ran: whether Python collected garbage while the frame was in the loop.
        """
        self._ring.append(
            frame_id,
            captured_ns,
            enqueued_ns,
            started_ns,
            inferred_ns,
            hooked_ns,
            emitted_ns,
            drops_before,
            status,
            backend_index,
            gc_ran,
        )

    def close(self) -> None:
        """Write what waits, and how the log ended. Closing twice is allowed; a disk that hangs is left after 5 s."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        atexit.unregister(self.close)
        self._ring.close()
        self._stop.set()
        thread.join(_PATIENCE_S)
        if thread.is_alive():
            self._output.note(f"the disk did not answer for {_PATIENCE_S:.0f} s")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _drain(self) -> None:
        stopped = False
        while not stopped:
            stopped = self._stop.wait(self._flush_s)
            try:
                self._flush()
            except Exception as error:  # no memory: what was not taken from the ring is tried again
                self._output.note(f"{type(error).__name__}: {error}")
        self._finish()

    def _flush(self) -> None:
        """Write what waits, as far as the disk takes it."""
        if not self._output.write():
            return
        self._written, self._waiting = self._written + self._waiting, 0
        while pieces := self._ring.peek(_BLOCK_ROWS):
            content = block(ROWS, *pieces)
            self._waiting = sum(map(len, pieces)) // ROW.itemsize
            self._ring.release(self._waiting)
            if not self._output.write(content):
                return
            self._written, self._waiting = self._written + self._waiting, 0
        if time.monotonic_ns() >= self._next_anchor_ns:
            self._write_anchor()

    def _write_anchor(self) -> bool:
        clocks = read_clocks()
        self._next_anchor_ns = clocks.monotonic_ns + _ANCHOR_EVERY_NS
        return self._output.write(block(ANCHORS, np.array((*clocks, self.lost), ANCHOR).tobytes()))

    def _finish(self) -> None:
        if self._output.is_stuck:
            self._ring.give_up(self._waiting)
        elif self._write_anchor():
            end = {"rows": self._written, "lost": self.lost, "error": self.error}
            self._output.write(block(END, json.dumps(end).encode()))
        self._output.sync()
        _OPEN.discard(self)
        self._output.close()

    def _abandon(self) -> None:
        """In a forked child: the file and its thread are the parent's."""
        self._ring.abandon()
        self._thread = None
        atexit.unregister(self.close)
        self._output.close()


_OPEN: weakref.WeakSet[FrameLog] = weakref.WeakSet()


def _leave_to_parent() -> None:
    for log in list(_OPEN):
        log._abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
