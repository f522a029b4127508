"""The thread that takes frames from the source."""

from __future__ import annotations

import operator
import time
from typing import Any, final

import numpy as np

from daenr_export.loop.frames import Frame, Source
from daenr_export.loop.ledger import Ledger
from daenr_export.loop.stop import StopSwitch
from daenr_export.loop.summary import Cause, Ending
from daenr_export.loop.tickets import Ticket, TicketQueue

_INT64 = np.iinfo(np.int64)
_NO_IMAGE = np.empty(0, np.float32)
NO_ID = -1
"""In the log, for what is not a frame and has no number."""


@final
class Feeder:
    """Iterates the source and puts its frames into the queue before inference, for as long as the loop goes on."""

    def __init__(self, source: Source, queue: TicketQueue, ledger: Ledger, stop: StopSwitch, deadline_ns: int) -> None:
        self._source = source
        self._queue = queue
        self._ledger = ledger
        self._stop = stop
        self._deadline_ns = deadline_ns
        self._number = 0
        self._highest_id: int | None = None

    def run(self) -> None:
        """Until the source ends or raises, or the loop stops."""
        ending = Ending.SOURCE_ENDED
        try:
            for item in self._source:
                self._take_in(item, time.monotonic_ns())
                if self._stop.is_urgent:
                    self._ledger.discard(self._queue)
                    break
        except BaseException as error:  # whatever a source does, the loop ends in order
            ending = Ending.SOURCE_FAILED
            if not self._stop.is_urgent:
                self._ledger.note(Cause.SOURCE, error)
        self._stop.after_last_frame(ending)

    def _take_in(self, item: Any, now_ns: int) -> None:
        frame, problem = _checked(item, now_ns)
        self._number += 1
        # A stamp in the future must not put off the deadline.
        due_ns = min(frame.captured_ns, now_ns) + self._deadline_ns
        ticket = Ticket(self._number, frame, now_ns, due_ns, due_ns, self._ledger.collections)
        if not self._ledger.admit(ticket):
            return
        if problem:
            self._ledger.fail(ticket, Cause.FRAME, problem)
            return
        self._count_oddities(frame, now_ns)
        self._ledger.hand_on(ticket, self._queue)

    def _count_oddities(self, frame: Frame, now_ns: int) -> None:
        counts = self._ledger.counts
        counts.ahead_of_clock += frame.captured_ns > now_ns
        highest = self._highest_id
        if highest is None or frame.id > highest:
            self._highest_id = frame.id
        elif frame.id == highest:
            counts.repeated_ids += 1
        else:
            counts.backward_ids += 1


def _checked(item: Any, now_ns: int) -> tuple[Frame, str | None]:
    """A frame of its own, and what is wrong with what the source gave."""
    if not isinstance(item, Frame):
        return Frame(NO_ID, _NO_IMAGE, now_ns), f"the source gave a {type(item).__name__}, expected a Frame"
    frame_id, captured_ns = _integer(item.id), _integer(item.captured_ns)
    if frame_id is None:
        return Frame(NO_ID, _NO_IMAGE, now_ns), f"the id {item.id!r:.40} is not a whole number of 64 bits"
    if captured_ns is None:
        problem = f"captured_ns is {item.captured_ns!r:.40}, expected nanoseconds of time.monotonic_ns"
        return Frame(frame_id, _NO_IMAGE, now_ns), problem
    # Cameras write the next frame into the same buffer; what is no array is for the session to refuse.
    image = item.image.copy() if isinstance(item.image, np.ndarray) else item.image
    return Frame(frame_id, image, captured_ns), None


def _integer(value: Any) -> int | None:
    try:
        number = operator.index(value)
    except TypeError:
        return None
    return number if _INT64.min <= number <= _INT64.max else None
