"""The one place where the fate of each frame is decided, once, and its row written, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Lock
from typing import final

from daenr_export.loop.contracts import Log
from daenr_export.loop.frames import Status
from daenr_export.loop.histogram import LatencyHistogram
from daenr_export.loop.summary import Cause, Counts
from daenr_export.loop.tickets import Stage, Ticket, TicketQueue

_OWNER = {Stage.HOOK_QUEUE: Cause.HOOK, Stage.HOOK: Cause.HOOK, Stage.SINK_QUEUE: Cause.SINK, Stage.SINK: Cause.SINK}
"""Whose fault it is if a frame gets no further; inference that takes long makes a frame late, and is nobody's fault."""


@final
class Ledger:
    """All threads of a loop meet here, under one lock that is held for microseconds.

    A fate is decided by whoever comes first: the sink's thread that delivers an answer, the watchdog at the deadline, a
    stage that fails, a newer frame that takes the place. What comes later finds the fate decided and lets go.

    Args:
        deadline_ns: from capture to answer.
        queues: before inference, hook and sink. A frame in the last whose fate is decided stands for its fallback.
        log: takes the rows.
        max_faults: how many faults without an answer between them are too many.
        on_too_many_faults: called then, with the lock held.

    Attributes:
        alarm: wakes the watchdog.
        collections: how many garbage collections there have been.
    """

    def __init__(
        self,
        deadline_ns: int,
        queues: Sequence[TicketQueue],
        log: Log | None,
        max_faults: int,
        on_too_many_faults: Callable[[], None],
    ) -> None:
        self.counts = Counts()
        self.latencies = LatencyHistogram()
        self.alarm: SimpleQueue[None] = SimpleQueue()
        self.collections = 0
        self._deadline_ns = deadline_ns
        self._queues = {queue.stage: queue for queue in queues}
        self._outbox = self._queues[Stage.SINK_QUEUE]
        self._log = log
        self._max_faults = max_faults
        self._on_too_many_faults = on_too_many_faults
        self._lock = Lock()
        self._open: dict[int, Ticket] = {}  # by number: their fate is open
        self._held: dict[int, Ticket] = {}  # by number: their row is not written
        self._silent_since: Ticket | None = None  # the first frame that came after something last went out
        self._faults_in_a_row = 0
        self._wake_ns = 0
        self._is_closed = False

    # What the stages do

    def admit(self, ticket: Ticket) -> bool:
        """Take in a frame of the source; False once the books are closed."""
        with self._lock:
            if self._is_closed:
                return False
            self.counts.frames += 1
            self._open[ticket.number] = self._held[ticket.number] = ticket
            if self._silent_since is None:
                self._silent_since = ticket
            self._wake_watchdog_for(ticket)
            return True

    def hand_on(self, ticket: Ticket, queue: TicketQueue) -> None:
        """Put a frame into the queue before its next stage, unless its time is over."""
        with self._lock:
            if ticket.status is None:
                ticket.stage, ticket.expires_ns = queue.stage, ticket.due_ns
                self._push(ticket, queue)
            else:
                self._let_go(ticket)

    def take(self, queue: TicketQueue, budget_ns: int | None = None) -> Ticket | None:
        """Begin to work on the next frame of a queue, for a budget at most; None where there is nothing to do.

        Only the sink is given a frame whose fate is decided, for its fallback: its stage is then not `SINK`.
        """
        with self._lock:
            ticket = queue.pop()
            if ticket is None:
                return None
            now_ns = time.monotonic_ns()
            if ticket.status is None and now_ns >= ticket.expires_ns:
                self._expire(ticket, now_ns)
            if ticket.status is None:
                ticket.stage = Stage(queue.stage + 1)
                if budget_ns is not None and now_ns + budget_ns < ticket.due_ns:
                    ticket.expires_ns = now_ns + budget_ns
                    self._wake_watchdog_for(ticket)
            elif queue is not self._outbox:
                self._let_go(ticket)
                return None
            queue.busy_since_ns = now_ns
            return ticket

    def fail(self, ticket: Ticket, cause: Cause, error: BaseException | str) -> None:
        """A stage could not do its work on a frame: the fallback goes out, if it has not yet."""
        with self._lock:
            self.counts.note(cause, error)
            if self._settle(ticket, Status.FAULT, cause):
                self._send_fallback(ticket)
            self._let_go(ticket)

    def delivered(self, ticket: Ticket, *, fallback: bool) -> None:
        """The sink has taken what was there for a frame."""
        with self._lock:
            now_ns = ticket.emitted_ns = time.monotonic_ns()
            self._silent_since = None
            self.counts.fallbacks += fallback
            if self._settle(ticket, Status.OK if now_ns <= ticket.due_ns else Status.LATE) and not ticket.status:
                self.latencies.add(now_ns - ticket.frame.captured_ns)
            self._let_go(ticket)

    def undelivered(self, ticket: Ticket, cause: Cause, error: BaseException) -> None:
        """The sink, or the fallback on its way there, raised."""
        with self._lock:
            self.counts.note(cause, error)
            self.counts.sink_errors += cause is Cause.SINK
            self._settle(ticket, Status.FAULT, cause)
            self._let_go(ticket)

    def note(self, cause: Cause, error: BaseException | str) -> None:
        """Keep a problem that is not the fault of one frame."""
        with self._lock:
            self.counts.note(cause, error)

    def note_collection(self) -> None:
        """Python collects garbage. Takes no lock: it may do so while this thread holds it."""
        self.collections += 1

    # What the watchdog does

    def expire(self) -> int:
        """Decide what is over by now, and return the instant at which to look again."""
        with self._lock:
            now_ns = time.monotonic_ns()
            for ticket in [ticket for ticket in self._open.values() if ticket.expires_ns <= now_ns]:
                self._expire(ticket, now_ns)
            idle_until_ns = now_ns + self._deadline_ns
            self._wake_ns = min((ticket.expires_ns for ticket in self._open.values()), default=idle_until_ns)
            if silent := self._silent_since:
                if silent.due_ns > now_ns:
                    self._wake_ns = min(self._wake_ns, silent.due_ns)
                elif silent.status is Status.DROPPED:
                    self._send_fallback(silent)
                else:
                    self._silent_since = None
            return self._wake_ns

    # The end

    @property
    def is_settled(self) -> bool:
        """Whether the fate of all frames so far is decided."""
        return not self._open

    def discard(self, queue: TicketQueue) -> None:
        """Drop what waits in a queue."""
        with self._lock:
            while ticket := queue.pop():
                self._settle(ticket, Status.DROPPED)
                self._let_go(ticket)

    def close(self) -> None:
        """Decide what is open still, and write the rows that are missing; nothing is taken in after this."""
        with self._lock:
            self._is_closed = True
            for ticket in list(self._open.values()):
                if ticket.stage in (Stage.HOOK, Stage.SINK):
                    self._settle(ticket, Status.FAULT, _OWNER[ticket.stage])
                else:
                    self._settle(ticket, Status.DROPPED)
            for ticket in list(self._held.values()):
                self._write(ticket)

    # With the lock held

    def _expire(self, ticket: Ticket, now_ns: int) -> None:
        """The time of an open frame is over: its deadline, or the hook's budget."""
        if ticket.stage is Stage.HOOK and now_ns < ticket.due_ns:
            self.counts.note(Cause.HOOK, "overran its time budget")
            self._settle(ticket, Status.FAULT, Cause.HOOK)
        elif (queue := self._queues.get(ticket.stage)) and queue.is_stuck(now_ns):
            self._blame_stuck(ticket)
        else:
            self._settle(ticket, Status.LATE)
        # A frame that waits for the sink now waits there for its fallback; one that the sink has can have none.
        if ticket.stage < Stage.SINK_QUEUE:
            self._send_fallback(ticket)

    def _push(self, ticket: Ticket, queue: TicketQueue) -> None:
        """Add a frame to a queue, and decide what becomes of one that loses its place."""
        loser = queue.push(ticket)
        if loser is None:
            return
        to_sink = queue is self._outbox
        self.counts.unsent += to_sink
        if loser.status is None and queue.is_stuck(time.monotonic_ns()):
            self._blame_stuck(loser)
            if not to_sink:
                self._send_fallback(loser)
        elif loser.status is None:
            self._settle(loser, Status.DROPPED)
            queue.note_drop(loser)
        self._let_go(loser)

    def _send_fallback(self, ticket: Ticket) -> None:
        ticket.holders += 1
        self._silent_since = None
        self._push(ticket, self._outbox)

    def _blame_stuck(self, ticket: Ticket) -> None:
        cause = _OWNER[ticket.stage]
        self.counts.note(cause, "had not returned from an earlier frame")
        self._settle(ticket, Status.FAULT, cause)

    def _settle(self, ticket: Ticket, status: Status, cause: Cause | None = None) -> bool:
        """Decide a fate; False if that was done before."""
        if ticket.status is not None:
            return False
        ticket.status = status
        del self._open[ticket.number]
        self.counts.fates[status] += 1
        if status is Status.OK:
            self._faults_in_a_row = 0
        if cause is not None:
            self.counts.faults[cause] = self.counts.faults.get(cause, 0) + 1
            self._faults_in_a_row += 1
            if self._faults_in_a_row >= self._max_faults:
                self._on_too_many_faults()
        return True

    def _let_go(self, ticket: Ticket) -> None:
        ticket.holders -= 1
        if not ticket.holders and not ticket.is_written:
            self._write(ticket)

    def _write(self, ticket: Ticket) -> None:
        ticket.is_written = True
        ticket.value = None
        del self._held[ticket.number]
        gc_ran = self.collections != ticket.collections
        self.counts.collections += gc_ran
        if self._log is None:
            return
        try:
            self._log.append(
                ticket.frame.id,
                ticket.frame.captured_ns,
                ticket.enqueued_ns,
                ticket.started_ns,
                ticket.inferred_ns,
                ticket.hooked_ns,
                ticket.emitted_ns,
                int(Status.FAULT if ticket.status is None else ticket.status),
                ticket.drops_before,
                ticket.backend_index,
                gc_ran,
            )
        except Exception as error:  # a log of the user's own
            self.counts.note(Cause.LOG, error)

    def _wake_watchdog_for(self, ticket: Ticket) -> None:
        if ticket.expires_ns < self._wake_ns:
            self._wake_ns = ticket.expires_ns
            self.alarm.put(None)
