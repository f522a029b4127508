"""The calling thread's part: it answers frames, and waits for them as the session wants it to."""

from __future__ import annotations

import time
from typing import Any, final

from daenr_common.errors import ImageError
from daenr_export.loop.contracts import LoopSession
from daenr_export.loop.ledger import Ledger
from daenr_export.loop.settings import copied
from daenr_export.loop.stop import StopSwitch
from daenr_export.loop.summary import Cause
from daenr_export.loop.tickets import Ticket, TicketQueue

_SLICE_NS = 50_000_000
"""How long one wait for a frame may take: what a waiting engine is asked to look up after."""


@final
class Inference:
    """Answers frames by the first session that works.

    Args:
        sessions: the one to begin with, and those that take over, in order, when one fails.
        queue: where frames wait.
        next_queue: before the hook or the sink.

    Attributes:
        index: of the session that is in use.
    """

    def __init__(
        self, sessions: tuple[LoopSession, ...], queue: TicketQueue, next_queue: TicketQueue, ledger: Ledger
    ) -> None:
        self.index = 0
        self._sessions = sessions
        self._queue = queue
        self._next_queue = next_queue
        self._ledger = ledger
        self._keeps_warm = sessions[0].keep_warm

    def run(self, stop: StopSwitch) -> None:
        """Answer frames until the loop is over."""
        while not stop.is_over:
            if self._wait() and (ticket := self._ledger.take(self._queue)):
                self._answer(ticket)

    def _wait(self) -> bool:
        if self._keeps_warm:
            try:
                self._sessions[self.index].wait_for(self._queue.has_token, time.monotonic_ns() + _SLICE_NS)
            except Exception as error:  # the engine failed while it was kept warm
                self._ledger.note(Cause.BACKEND, error)
                if not self._switch():
                    self._keeps_warm = False
                return False
            if not self._queue.has_token():
                return False
        return self._queue.wait(_SLICE_NS / 1e9)

    def _answer(self, ticket: Ticket) -> None:
        ticket.started_ns = time.monotonic_ns()
        try:
            ticket.value = self._run(ticket)
        except ImageError as error:
            self._ledger.fail(ticket, Cause.IMAGE, error)
        except Exception as error:
            self._ledger.fail(ticket, Cause.BACKEND, error)
        else:
            ticket.inferred_ns = time.monotonic_ns()
            self._ledger.hand_on(ticket, self._next_queue)

    def _run(self, ticket: Ticket) -> Any:
        while True:
            ticket.backend_index = self.index
            try:
                # The session answers into buffers of its own; the frames behind this one must not change its answer.
                return copied(self._sessions[self.index](ticket.frame.image))
            except ImageError:
                raise
            except Exception as error:
                if not self._switch():
                    raise
                self._ledger.note(Cause.BACKEND, error)

    def _switch(self) -> bool:
        """Let the next session take over; False where there is none."""
        if self.index + 1 == len(self._sessions):
            return False
        self.index += 1
        self._keeps_warm = self._sessions[self.index].keep_warm
        return True
