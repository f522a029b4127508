"""The threads that run what is not ours, hook and sink, and the one that watches the clock."""

from __future__ import annotations

import time
from queue import Empty
from typing import final

from daenr_export.loop.frames import Answer, Hook, Sink, Status
from daenr_export.loop.ledger import Ledger
from daenr_export.loop.settings import Fallback, make_fallback
from daenr_export.loop.summary import Cause
from daenr_export.loop.tickets import Stage, Ticket, TicketQueue


@final
class HookWorker:
    """Calls the user's hook with the outputs for a frame, and hands on what it returns."""

    def __init__(
        self, hook: Hook, budget_ns: int | None, queue: TicketQueue, outbox: TicketQueue, ledger: Ledger
    ) -> None:
        self._hook = hook
        self._budget_ns = budget_ns
        self._queue = queue
        self._outbox = outbox
        self._ledger = ledger

    def run(self) -> None:
        """Until the queue is closed and empty."""
        while not (self._queue.is_closed and not len(self._queue)):
            self._queue.wait()
            if ticket := self._ledger.take(self._queue, self._budget_ns):
                self._work_on(ticket)
                self._queue.busy_since_ns = 0

    def _work_on(self, ticket: Ticket) -> None:
        try:
            value = self._hook(ticket.frame, ticket.value)
        except BaseException as error:  # a hook may call sys.exit() too
            self._ledger.fail(ticket, Cause.HOOK, error)
            return
        ticket.hooked_ns = time.monotonic_ns()
        ticket.value = value
        self._ledger.hand_on(ticket, self._outbox)


@final
class SinkWorker:
    """Gives answers and fallbacks to the sink, and closes it at the end."""

    def __init__(self, sink: Sink, fallback: Fallback, outbox: TicketQueue, ledger: Ledger) -> None:
        self._sink = sink
        self._fallback, self._remember = make_fallback(fallback)
        self._outbox = outbox
        self._ledger = ledger

    def run(self) -> None:
        """Until the queue is closed and empty."""
        while not (self._outbox.is_closed and not len(self._outbox)):
            self._outbox.wait()
            if ticket := self._ledger.take(self._outbox):
                self._deliver(ticket)
                self._outbox.busy_since_ns = 0
        self.close_sink()

    def close_sink(self) -> None:
        """Close the sink, if it can be closed."""
        try:
            if close := getattr(self._sink, "close", None):
                close()
        except BaseException as error:
            self._ledger.note(Cause.SINK, error)

    def _deliver(self, ticket: Ticket) -> None:
        is_answer = ticket.stage is Stage.SINK
        status = Status.OK if is_answer else ticket.status or Status.FAULT
        cause = Cause.FALLBACK
        try:
            if is_answer:
                self._remember(value := ticket.value)
            else:
                value = self._fallback(ticket.frame.id)
            cause = Cause.SINK
            self._sink(Answer(ticket.frame.id, ticket.frame.captured_ns, value, status))
        except BaseException as error:
            self._ledger.undelivered(ticket, cause, error)
        else:
            self._ledger.delivered(ticket, fallback=not is_answer)


@final
class Watchdog:
    """Sees to it that a frame is over at its deadline, whatever the threads that work on it do."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._is_off = False

    def run(self) -> None:
        """Until `end`."""
        while not self._is_off:
            wake_ns = self._ledger.expire()
            try:
                self._ledger.alarm.get(timeout=max(wake_ns - time.monotonic_ns(), 0) / 1e9)
            except Empty:
                continue

    def end(self) -> None:
        """Watch no more."""
        self._is_off = True
        self._ledger.alarm.put(None)
