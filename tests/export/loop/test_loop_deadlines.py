"""What goes out when an answer does not come in time, and that nothing which hangs or fails can stall the loop."""

from __future__ import annotations

import socket
import sys
import threading
import time
from itertools import pairwise

import numpy as np
import pytest
from loop_parts import (
    FOREVER_S,
    LONG_MS,
    Collector,
    MeanSession,
    Outcome,
    frame,
    frames,
    image_of,
    one_by_one,
    run_loop,
)

from daenr_export.loop.frames import Frame, Status
from daenr_export.loop.summary import Cause, Ending

DEADLINE_MS = 150
"""Short enough to wait for, long enough for a busy machine to keep in the frames that are to be in time."""


def paced(count, period_s):
    for index in range(count):
        yield frame(index)
        time.sleep(period_s)


def test_the_fallback_goes_out_at_the_deadline_while_inference_still_runs() -> None:
    sink, was_out = Collector(), []

    def block_first(call) -> None:
        if call == 0:
            sink.wait_for_id(0)
            was_out.append(True)

    source = one_by_one([lambda: frame(0), lambda: frame(1)], sink)
    summary, rows = run_loop(
        MeanSession(block_first), source, sink, deadline_ms=DEADLINE_MS, fallback=lambda frame_id: None
    )
    assert was_out == [True]
    assert sink.ids == [0, 1]  # and the real answer, which came later, did not go out
    assert sink.statuses == [Status.LATE, Status.OK]
    late = rows[0]
    due_ns = late.captured_ns + DEADLINE_MS * 10**6
    assert sink.instants[0] >= due_ns
    assert late.inferred_ns > late.emitted_ns >= due_ns  # the log says how late the answer would have been
    assert summary.fallbacks == 1


def test_a_frame_that_is_late_before_it_is_looked_at_costs_no_inference() -> None:
    sink, session = Collector(), MeanSession()
    old = Frame(0, image_of(0), time.monotonic_ns() - 10**9)
    summary, rows = run_loop(session, one_by_one([old, lambda: frame(1)], sink), sink, deadline_ms=900)
    assert sink.statuses == [Status.LATE, Status.OK]
    assert session.calls == 1
    assert rows[0].started_ns == 0
    assert rows[0].backend_index == -1
    assert summary.counts[Status.LATE] == 1


class Blocking:
    """A hook or sink that blocks on one frame until it is released."""

    def __init__(self, frame_id, sink=None) -> None:
        self.frame_id, self.sink = frame_id, sink
        self.release = threading.Event()
        self.entered = threading.Event()

    def __call__(self, item, outputs=None):
        if (item.frame_id if self.sink else item.id) == self.frame_id:
            self.entered.set()
            self.release.wait(FOREVER_S)
        return self.sink(item) if self.sink else outputs


def run_until_released(blocking, sink, count, **options) -> Outcome:
    """Frames one by one while something blocks on frame 2; after the last it is let go, so that no thread stays."""
    try:
        return run_loop(MeanSession(), one_by_one([lambda i=i: frame(i) for i in range(count)], sink), sink, **options)
    finally:
        blocking.release.set()


def test_a_hook_that_blocks_for_ever_stalls_nothing() -> None:
    sink, hook = Collector(), Blocking(2)
    summary, rows = run_until_released(hook, sink, 6, hook=hook, deadline_ms=DEADLINE_MS)
    assert sink.ids == list(range(6))
    assert sink.statuses == [Status.OK] * 2 + [Status.LATE] + [Status.FAULT] * 3
    assert summary.faults == {Cause.HOOK: 3}
    assert summary.problems == {Cause.HOOK: "had not returned from an earlier frame"}
    fallbacks = [answer.value[0, 0] for answer in sink.answers[2:]]
    assert fallbacks == [sink.answers[1].value[0, 0]] * 4
    assert all(row.inferred_ns and not row.hooked_ns for row in rows if row.frame_id >= 2)


def test_a_hook_over_its_budget_is_a_fault_before_the_deadline() -> None:
    sink, hook = Collector(), Blocking(2)
    summary, rows = run_until_released(hook, sink, 3, hook=hook, deadline_ms=LONG_MS, hook_budget_ms=DEADLINE_MS)
    assert sink.statuses == [Status.OK, Status.OK, Status.FAULT]
    assert summary.problems == {Cause.HOOK: "overran its time budget"}
    assert rows[-1].emitted_ns < rows[-1].captured_ns + LONG_MS * 10**6


def test_while_a_hook_blocks_the_sink_hears_something_at_least_every_deadline() -> None:
    sink, hook = Collector(), Blocking(2)
    # Each frame that waits for the hook is replaced by the next one long before its own deadline.
    try:
        summary, _ = run_loop(MeanSession(), paced(60, 0.02), sink, hook=hook, deadline_ms=DEADLINE_MS)
    finally:
        hook.release.set()
    assert sink.ids[:2] == [0, 1]
    assert sink.ids == sorted(sink.ids)
    assert summary.fallbacks >= 4
    gaps_ms = [(after - before) / 1e6 for before, after in pairwise(sink.instants)]
    assert max(gaps_ms) < 4 * DEADLINE_MS
    assert summary.counts[Status.FAULT] > 1


def test_while_a_backend_hangs_the_sink_hears_something_at_least_every_deadline() -> None:
    sink = Collector()

    def hang_on_second(call) -> None:
        if call == 1:
            sink.wait_for_count(6)

    summary, rows = run_loop(MeanSession(hang_on_second), paced(80, 0.02), sink, deadline_ms=DEADLINE_MS)
    assert sink.statuses[1] is Status.LATE
    during = [answer for answer in sink.answers[1:6] if answer.is_fallback]
    assert len(during) == 5
    assert {answer.status for answer in during} <= {Status.LATE, Status.DROPPED}
    dropped = sum(row.status is Status.DROPPED for row in rows)
    assert summary.counts[Status.DROPPED] == dropped > 0
    assert summary.counts[Status.OK] >= 2  # and it went on when the backend came back


@pytest.mark.parametrize("fail", [lambda: 1 / 0, lambda: sys.exit(3)], ids=["exception", "exit"])
def test_a_hook_that_raises_makes_a_fault_of_its_frame(fail) -> None:
    sink = Collector()

    def hook(frame, outputs):
        return fail() if frame.id == 1 else outputs

    source = one_by_one([lambda i=i: frame(i) for i in range(3)], sink)
    summary, rows = run_loop(MeanSession(), source, sink, hook=hook)
    assert sink.statuses == [Status.OK, Status.FAULT, Status.OK]
    assert summary.faults == {Cause.HOOK: 1}
    assert summary.problems[Cause.HOOK] in ("ZeroDivisionError: division by zero", "SystemExit: 3")
    assert rows[1].hooked_ns == 0


def test_a_hook_that_returns_late_makes_its_frame_late() -> None:
    sink = Collector()

    def hook(frame, outputs):
        if frame.id == 0:
            sink.wait_for_id(0)  # until the fallback is out
        return outputs

    source = one_by_one([lambda i=i: frame(i) for i in range(2)], sink)
    _, rows = run_loop(MeanSession(), source, sink, hook=hook, deadline_ms=DEADLINE_MS)
    assert sink.ids == [0, 1]
    assert sink.statuses == [Status.LATE, Status.OK]
    assert rows[0].hooked_ns >= rows[0].captured_ns + DEADLINE_MS * 10**6


def test_a_hook_whose_error_has_no_text_is_counted_like_any() -> None:
    class Mute(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise RuntimeError

    def hook(frame, outputs):
        raise Mute

    sink = Collector()
    summary, _ = run_loop(MeanSession(), one_by_one(frames(2), sink), sink, hook=hook)
    assert summary.problems == {Cause.HOOK: "Mute: (its message cannot be shown)"}


def test_a_sink_that_blocks_stalls_no_inference() -> None:
    sink = Collector()
    blocking = Blocking(2, sink)
    session, answered = MeanSession(), threading.Event()

    def source():
        yield from (frame(0), frame(1), frame(2))
        assert blocking.entered.wait(FOREVER_S)
        for index in range(3, 8):
            yield frame(index)
            time.sleep(DEADLINE_MS / 1000)
        answered.set()
        time.sleep(DEADLINE_MS / 1000)
        blocking.release.set()
        time.sleep(0.05)

    options = {"deadline_ms": DEADLINE_MS, "policy": "fifo"}
    summary, rows = run_loop(session, source(), blocking, **options)
    fates = {row.frame_id: row.status for row in rows}
    assert session.calls == 8
    assert fates == {0: Status.OK, 1: Status.OK, 2: Status.LATE} | dict.fromkeys(range(3, 8), Status.FAULT)
    assert summary.faults == {Cause.SINK: 5}
    assert sink.ids == list(range(8))  # under fifo, what waited goes out when the sink is back: as fallbacks
    assert sink.statuses[3:] == [Status.FAULT] * 5


def test_a_sink_that_never_comes_back_is_left_behind() -> None:
    sink = Collector()
    blocking = Blocking(1, sink)
    try:
        summary, rows = run_loop(MeanSession(), paced(5, 0.1), blocking, deadline_ms=50)
    finally:
        blocking.release.set()
    assert summary.frames == len(rows) == 5
    fates = [row.status for row in sorted(rows)]
    assert fates[1] is Status.LATE
    assert set(fates[2:]) == {Status.FAULT}
    assert summary.unsent > 0


def test_a_sink_that_raises_is_counted_and_called_again() -> None:
    sink = Collector()

    def sometimes(answer) -> None:
        sink(answer)
        if answer.frame_id % 2:
            raise OSError("no route to host")

    source = one_by_one([lambda i=i: frame(i) for i in range(6)], sink)
    summary, rows = run_loop(MeanSession(), source, sometimes)
    assert summary.sink_errors == summary.faults[Cause.SINK] == 3
    assert summary.problems == {Cause.SINK: "OSError: no route to host"}
    assert [row.emitted_ns == 0 for row in rows] == [False, True] * 3


def test_a_sink_whose_socket_is_closed_ends_the_loop_only_when_faults_are_too_many() -> None:
    ours, theirs = socket.socketpair()
    received = []

    class SocketSink:
        def __call__(self, answer) -> None:
            ours.sendall(np.float32(answer.value[0, 0]).tobytes())
            sent.release()

        def close(self) -> None:
            ours.close()

    sent = threading.Semaphore(0)

    def source():
        for index in range(1000):
            yield frame(index)
            if index < 10:
                assert sent.acquire(timeout=FOREVER_S)
                received.append(theirs.recv(4))
                if index == 9:
                    theirs.close()
            else:
                time.sleep(0.002)

    summary, _ = run_loop(MeanSession(), source(), SocketSink(), max_faults=20)
    assert received == [np.float32(frame(index).image[0, 0, 0, 0]).tobytes() for index in range(10)]
    assert summary.ending is Ending.TOO_MANY_FAULTS
    assert summary.sink_errors >= 20
    assert "BrokenPipeError" in summary.problems[Cause.SINK]
    assert ours.fileno() == -1  # closed


def test_the_loop_ends_after_so_many_faults_in_a_row_and_no_sooner() -> None:
    sink = Collector()
    bad = lambda: Frame(1, image_of(np.nan), time.monotonic_ns())  # noqa: E731
    good = lambda: frame(0)  # noqa: E731
    source = one_by_one([bad, bad, good, bad, bad, good, bad, bad, bad, good, good], sink)
    summary, _ = run_loop(MeanSession(), source, sink, max_faults=3)
    assert summary.ending is Ending.TOO_MANY_FAULTS
    assert sink.statuses == [{"b": Status.FAULT, "g": Status.OK}[kind] for kind in "bbgbbgbbb"]
