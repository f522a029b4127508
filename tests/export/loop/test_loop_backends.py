"""Backends that fail on purpose, and the session that takes over."""

from __future__ import annotations

import time

import numpy as np
from loop_parts import Collector, MeanSession, frame, image_of, one_by_one, run_loop

from daenr_common.errors import DaenrError
from daenr_export.loop.frames import Frame, Status
from daenr_export.loop.summary import Cause, Ending

GPU_IS_GONE = DaenrError("tensorrt session", "failed on a frame (cudaErrorLaunchFailure)", "open the session again")


class Failing(MeanSession):
    """Dies for good at one of its calls."""

    def __init__(self, at_call=0, error=GPU_IS_GONE) -> None:
        def die(call) -> None:
            if call >= at_call:
                raise error

        super().__init__(die)


def some_frames(count, sink):
    return one_by_one([lambda i=i: frame(i) for i in range(count)], sink)


def test_the_standby_goes_on_with_the_same_frame() -> None:
    sink, first, standby = Collector(), Failing(at_call=2), MeanSession()
    summary, rows = run_loop(first, some_frames(5, sink), sink, standby=standby)
    assert sink.statuses == [Status.OK] * 5
    expected = MeanSession()
    for answer in sink.answers:
        np.testing.assert_array_equal(answer.value, expected(frame(answer.frame_id).image))
    assert [row.backend_index for row in rows] == [0, 0, 1, 1, 1]
    assert (first.calls, standby.calls) == (3, 3)  # the one that failed is not asked again
    assert summary.backend_index == 1
    assert summary.problems == {Cause.BACKEND: f"DaenrError: {GPU_IS_GONE}"}
    assert not summary.faults
    assert "the standby session has taken over" in str(summary)


def test_an_error_that_is_not_daenrs_own_makes_the_standby_take_over_too() -> None:
    sink = Collector()
    summary, _ = run_loop(Failing(error=MemoryError()), some_frames(2, sink), sink, standby=MeanSession())
    assert sink.statuses == [Status.OK] * 2
    assert summary.problems == {Cause.BACKEND: "MemoryError"}


def test_an_unusable_frame_does_not_bring_in_the_standby() -> None:
    sink, standby = Collector(), MeanSession()
    bad = Frame(0, image_of(np.inf), time.monotonic_ns())
    summary, _ = run_loop(MeanSession(), one_by_one([bad, lambda: frame(1)], sink), sink, standby=standby)
    assert summary.backend_index == standby.calls == 0
    assert summary.faults == {Cause.IMAGE: 1}


def test_without_a_standby_each_frame_is_a_fault_and_a_backend_that_recovers_is_used() -> None:
    def fail_twice(call) -> None:
        if call in (1, 2):
            raise GPU_IS_GONE

    sink = Collector()
    summary, rows = run_loop(MeanSession(fail_twice), some_frames(4, sink), sink)
    assert sink.statuses == [Status.OK, Status.FAULT, Status.FAULT, Status.OK]
    assert summary.faults == {Cause.BACKEND: 2}
    assert [row.inferred_ns == 0 for row in rows] == [False, True, True, False]


def test_when_the_standby_fails_too_the_fallback_goes_out_until_faults_are_too_many() -> None:
    sink = Collector()
    summary, rows = run_loop(Failing(), some_frames(50, sink), sink, standby=Failing(at_call=2), max_faults=10)
    assert sink.statuses[:12] == [Status.OK] * 2 + [Status.FAULT] * 10
    assert summary.ending is Ending.TOO_MANY_FAULTS
    assert {row.backend_index for row in rows if row.started_ns} == {1}
    values = [answer.value[0, 0] for answer in sink.answers[2:12]]
    assert values == [sink.answers[1].value[0, 0]] * 10  # held


class DiesWhileKeptWarm(MeanSession):
    def __init__(self) -> None:
        super().__init__(keep_warm=True)

    def wait_for(self, ready, until_ns):
        if self.calls:
            raise GPU_IS_GONE
        return super().wait_for(ready, until_ns)


def test_a_backend_that_fails_while_it_is_kept_warm_is_replaced_before_the_next_frame() -> None:
    sink, first, standby = Collector(), DiesWhileKeptWarm(), MeanSession(keep_warm=True)
    summary, rows = run_loop(first, some_frames(3, sink), sink, standby=standby)
    assert sink.statuses == [Status.OK] * 3
    assert [row.backend_index for row in rows] == [0, 1, 1]
    assert Cause.BACKEND in summary.problems


def test_a_backend_that_fails_while_it_is_kept_warm_is_kept_warm_no_more() -> None:
    sink, session = Collector(), DiesWhileKeptWarm()
    summary, _ = run_loop(session, some_frames(3, sink), sink)
    assert sink.statuses == [Status.OK] * 3
    assert summary.problems == {Cause.BACKEND: f"DaenrError: {GPU_IS_GONE}"}
