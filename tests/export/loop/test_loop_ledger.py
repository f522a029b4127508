"""The ledger without a watchdog, as it is when the watchdog itself gets no turn."""

from __future__ import annotations

import time

import pytest
from loop_parts import MemoryLog, frame

from daenr_export.loop.frames import Status
from daenr_export.loop.ledger import Ledger
from daenr_export.loop.summary import Cause
from daenr_export.loop.tickets import Stage, Ticket, TicketQueue


@pytest.fixture
def queues():
    waits = (Stage.INFERENCE_QUEUE, Stage.HOOK_QUEUE, Stage.SINK_QUEUE)
    return [TicketQueue(stage, 1, newest_wins=True, patience_ns=10**9) for stage in waits]


@pytest.fixture
def ledger(queues):
    return Ledger(10**9, queues, MemoryLog(), 3, lambda: None)


def ticket_of(number, *, due_in_ns):
    now_ns = time.monotonic_ns()
    return Ticket(number, frame(number), now_ns, now_ns + due_in_ns, now_ns + due_in_ns, 0)


def test_a_frame_past_its_deadline_is_not_begun(ledger, queues) -> None:
    inbox, _, outbox = queues
    late = ticket_of(1, due_in_ns=0)
    ledger.admit(late)
    ledger.hand_on(late, inbox)
    assert ledger.take(inbox) is None
    assert late.status is Status.LATE
    assert ledger.take(outbox) is late  # for its fallback
    assert late.stage is not Stage.SINK


def test_an_answer_past_its_deadline_does_not_go_out_as_one(ledger, queues) -> None:
    outbox = queues[2]
    late = ticket_of(1, due_in_ns=0)
    ledger.admit(late)
    ledger.hand_on(late, outbox)
    assert ledger.take(outbox) is late
    assert late.stage is not Stage.SINK
    assert late.status is Status.LATE


def test_a_late_fallback_does_not_take_the_place_of_a_newer_answer(ledger, queues) -> None:
    outbox = queues[2]
    older, newer = ticket_of(1, due_in_ns=0), ticket_of(2, due_in_ns=10**12)
    for ticket in (older, newer):
        ledger.admit(ticket)
    ledger.hand_on(newer, outbox)
    ledger.expire()
    assert older.status is Status.LATE
    assert ledger.take(outbox) is newer
    assert newer.stage is Stage.SINK
    assert ledger.counts.unsent == 1


def test_closed_books_take_no_frame_and_have_a_row_for_each_one_before(ledger, queues) -> None:
    waiting, hooked = ticket_of(1, due_in_ns=10**12), ticket_of(2, due_in_ns=10**12)
    ledger.admit(waiting)
    ledger.hand_on(waiting, queues[0])
    ledger.admit(hooked)
    ledger.hand_on(hooked, queues[1])
    assert ledger.take(queues[1]) is hooked
    ledger.close()
    assert not ledger.admit(ticket_of(3, due_in_ns=10**12))
    assert (waiting.status, hooked.status) == (Status.DROPPED, Status.FAULT)
    assert ledger.counts.faults == {Cause.HOOK: 1}
    assert ledger.is_settled
    ledger.hand_on(hooked, queues[2])  # the hook comes back after the end
    assert not len(queues[2])
