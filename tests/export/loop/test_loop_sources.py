"""Sources as they come: floods, stalls, failures, ids in any order, clocks that are wrong."""

from __future__ import annotations

import threading
import time

import pytest
from loop_parts import FOREVER_S, Collector, MeanSession, frame, frames, image_of, one_by_one, run_loop

from daenr_export.loop.frames import Frame, Status
from daenr_export.loop.summary import Cause, Ending


class Gate:
    """Lets inference begin when the source has said so, so that what waits meanwhile is known."""

    def __init__(self, sink) -> None:
        self.begun, self.open = threading.Event(), threading.Event()
        self.sink = sink

    def __call__(self, call) -> None:
        self.begun.set()
        assert self.open.wait(FOREVER_S)
        if call == 1:  # its answer would take the place of the first, if that still waits for the sink
            self.sink.wait_for_id(0)


def flood(gate, count):
    """Frame 0 is being answered when all the others come."""
    yield frame(0)
    assert gate.begun.wait(FOREVER_S)
    yield from (frame(index) for index in range(1, count))
    gate.open.set()


def test_under_latest_a_flood_leaves_the_newest_and_counts_the_others() -> None:
    gate = Gate(sink := Collector())
    summary, rows = run_loop(MeanSession(gate), flood(gate, 1000), sink)
    assert sink.ids == [0, 999]
    assert summary.counts == {Status.OK: 2, Status.LATE: 0, Status.DROPPED: 998, Status.FAULT: 0}
    answered = {row.frame_id: row for row in rows if row.status is Status.OK}
    assert answered[999].drops_before == 998
    dropped = [row.frame_id for row in rows if row.status is Status.DROPPED]
    assert dropped == list(range(1, 999))


def test_under_fifo_a_flood_leaves_the_oldest_and_counts_the_others() -> None:
    gate = Gate(sink := Collector())

    def source():
        yield from flood(gate, 1000)
        sink.wait_for_id(8)
        yield frame(1000)

    summary, rows = run_loop(MeanSession(gate), source(), sink, policy="fifo", queue=8)
    assert sink.ids == [*range(9), 1000]
    assert summary.counts[Status.DROPPED] == 991
    assert {row.frame_id: row.drops_before for row in rows if row.status is Status.OK}[1000] == 991


def test_a_source_that_stalls_is_waited_for() -> None:
    sink = Collector()

    def source():
        yield frame(0)
        time.sleep(0.5)
        yield frame(1)

    summary, _ = run_loop(MeanSession(), source(), sink, deadline_ms=250)
    assert sink.ids == [0, 1]
    assert summary.counts[Status.OK] == 2
    assert summary.fallbacks == 0  # no frame, no answer: there is nothing to be late for


def test_a_source_that_ends_at_once_ends_the_loop() -> None:
    sink = Collector()
    summary, rows = run_loop(MeanSession(), [], sink)
    assert summary.ending is Ending.SOURCE_ENDED
    assert summary.frames == 0
    assert rows == []
    assert sink.is_closed


def test_frames_that_wait_when_the_source_ends_are_answered() -> None:
    sink = Collector()
    run_loop(MeanSession(lambda call: time.sleep(0.01)), frames(20), sink, policy="fifo")
    assert sink.ids == list(range(20))


@pytest.mark.parametrize("fail", [lambda: 1 / 0, lambda: exit(1)], ids=["exception", "exit"])
def test_a_source_that_raises_ends_the_loop_in_order(fail) -> None:
    sink = Collector()

    def source():
        yield from one_by_one(frames(3), sink)
        fail()

    summary, _ = run_loop(MeanSession(), source(), sink)
    assert summary.ending is Ending.SOURCE_FAILED
    assert summary.problems[Cause.SOURCE] in ("ZeroDivisionError: division by zero", "SystemExit: 1")
    assert summary.counts[Status.OK] == 3
    assert sink.is_closed


def test_something_that_is_no_source_ends_the_loop_and_says_so() -> None:
    summary, _ = run_loop(MeanSession(), 5, Collector())
    assert summary.ending is Ending.SOURCE_FAILED
    assert summary.problems[Cause.SOURCE] == "TypeError: 'int' object is not iterable"


def test_ids_pass_through_in_any_order_and_are_counted() -> None:
    ids = [5, 6, 6, 3, 7, 7, 2, 100]
    sink = Collector()
    source = one_by_one([lambda i=i: Frame(i, image_of(0), time.monotonic_ns()) for i in ids], sink)
    summary, rows = run_loop(MeanSession(), source, sink)
    assert sink.ids == [row.frame_id for row in rows] == ids
    assert summary.repeated_ids == 2
    assert summary.backward_ids == 2


def test_a_time_stamp_in_the_future_does_not_put_off_the_deadline() -> None:
    sink = Collector()
    gate = threading.Event()
    session = MeanSession(lambda call: gate.wait(FOREVER_S))

    def source():
        yield Frame(0, image_of(0), time.time_ns())  # the wrong clock: decades ahead
        sink.wait_for_id(0)
        gate.set()

    summary, _ = run_loop(session, source(), sink, deadline_ms=100)
    assert sink.statuses == [Status.LATE]
    assert summary.ahead_of_clock == 1


def test_frames_that_come_out_of_order_in_time_keep_their_own_deadlines() -> None:
    """The watchdog is asleep until the first frame's deadline when one comes that is due before it."""
    sink, gate = Collector(), threading.Event()
    session = MeanSession(lambda call: gate.wait(FOREVER_S))

    def source():
        yield frame(0)
        time.sleep(0.02)
        yield Frame(1, image_of(0), time.monotonic_ns() - 9_800_000_000)
        sink.wait_for_id(1)
        gate.set()

    summary, _ = run_loop(session, source(), sink, deadline_ms=10_000)
    assert sink.ids == [1, 0]
    assert sink.statuses == [Status.LATE, Status.OK]
    assert summary.seconds < 9
