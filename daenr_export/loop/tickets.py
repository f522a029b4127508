"""A frame on its way through the loop, and the bounded queues in which frames wait."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from queue import Empty, SimpleQueue
from typing import Any, final

from daenr_export.loop.frames import Frame, Status


class Stage(IntEnum):
    """Where a frame is. Each queue is followed by the work that it waits for."""

    INFERENCE_QUEUE = 0
    INFERENCE = 1
    HOOK_QUEUE = 2
    HOOK = 3
    SINK_QUEUE = 4
    SINK = 5


@final
@dataclass(slots=True, eq=False)
class Ticket:
    """One frame, what has become of it, and when. Everything but the instants is changed under the ledger's lock.

    Attributes:
        number: counts the frames of a loop; a frame's own id may repeat.
        due_ns: the deadline.
        expires_ns: when its time is over: the deadline, or the end of the hook's budget if that is earlier.
        value: what there is of the answer so far.
        collections: how many garbage collections there had been when it came.
        holders: how many stages and fallbacks may still note something on it; its row is written when there is none.
    """

    number: int
    frame: Frame
    enqueued_ns: int
    due_ns: int
    expires_ns: int
    collections: int
    stage: Stage = Stage.INFERENCE_QUEUE
    status: Status | None = None
    value: Any = None
    started_ns: int = 0
    inferred_ns: int = 0
    hooked_ns: int = 0
    emitted_ns: int = 0
    drops_before: int = 0
    backend_index: int = -1
    holders: int = 1
    is_written: bool = False


@final
class TicketQueue:
    """A bounded queue before a stage. One thread takes from it; all but waiting is done under the ledger's lock.

    A `SimpleQueue` carries one token for each ticket: it is waited for in C, and waking is safe in a signal handler.

    Args:
        stage: the name of the wait.
        capacity: how many tickets may wait.
        newest_wins: whether the oldest makes room where the queue is full; otherwise what comes is turned away.
        patience_ns: how long the stage may work on one frame before it counts as stuck; None for any time.

    Attributes:
        busy_since_ns: since when the stage works on a frame; 0 if it waits.
        is_closed: nothing more will come; the stage ends when it is empty.
    """

    def __init__(self, stage: Stage, capacity: int, *, newest_wins: bool, patience_ns: int | None = None) -> None:
        self.stage = stage
        self.busy_since_ns = 0
        self.is_closed = False
        self._capacity = capacity
        self._newest_wins = newest_wins
        self._patience_ns = patience_ns
        self._tickets: deque[Ticket] = deque()
        self._turned_away = 0
        self._tokens: SimpleQueue[None] = SimpleQueue()

    def push(self, ticket: Ticket) -> Ticket | None:
        """Add a ticket; return the one that lost its place, which may be the same, or None."""
        if len(self._tickets) == self._capacity:
            if not self._newest_wins or ticket.number < self._tickets[0].number:
                return ticket
            loser = self._tickets.popleft()
            self._tickets.append(ticket)
            return loser
        ticket.drops_before += self._turned_away
        self._turned_away = 0
        self._tickets.append(ticket)
        self._tokens.put(None)
        return None

    def note_drop(self, loser: Ticket) -> None:
        """Count a dropped ticket, and those before it, for the one that comes after it."""
        drops = loser.drops_before + 1
        if self._newest_wins:
            self._tickets[-1].drops_before += drops
        else:
            self._turned_away += drops

    def pop(self) -> Ticket | None:
        """Take the oldest ticket, None if there is none. Call it once for each token."""
        return self._tickets.popleft() if self._tickets else None

    def __len__(self) -> int:
        return len(self._tickets)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for a token, and take it. False where none came in time."""
        try:
            self._tokens.get(timeout=timeout_s)
        except Empty:
            return False
        return True

    def has_token(self) -> bool:
        """Whether `wait` would return at once."""
        return not self._tokens.empty()

    def wake(self) -> None:
        """Let `wait` return once, although nothing may have come. Safe in a signal handler."""
        self._tokens.put(None)

    def close(self) -> None:
        """Say that nothing more will come."""
        self.is_closed = True
        self.wake()

    def is_stuck(self, now_ns: int) -> bool:
        """Whether the stage has worked on one frame for longer than it may."""
        if self._patience_ns is None or not self.busy_since_ns:
            return False
        return now_ns - self.busy_since_ns > self._patience_ns
