"""How a loop is told to end: by its owner, by a signal, by its source or by its faults."""

from __future__ import annotations

from typing import final

from daenr_export.loop.summary import Ending
from daenr_export.loop.tickets import TicketQueue


@final
class StopSwitch:
    """Keeps the first reason. Takes no lock, so that a signal handler may use it wherever it interrupts the loop.

    Attributes:
        ending: why the loop ends; None while it goes on.
        is_urgent: frames that wait are not to be answered any more.
    """

    def __init__(self, queue: TicketQueue) -> None:
        self.ending: Ending | None = None
        self.is_urgent = False
        self._queue = queue

    def now(self, ending: Ending) -> None:
        """End, and drop what waits."""
        self.ending = self.ending or ending
        self.is_urgent = True
        self._queue.wake()

    def after_last_frame(self, ending: Ending) -> None:
        """End when the frames that wait are answered: there will be no more."""
        self.ending = self.ending or ending
        self._queue.wake()

    @property
    def is_over(self) -> bool:
        """Whether no frame is to be answered any more."""
        return self.is_urgent or (self.ending is not None and not len(self._queue))
