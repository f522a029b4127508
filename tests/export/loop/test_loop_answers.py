"""What a loop does when all goes well, and what it does with frames that cannot be answered."""

from __future__ import annotations

import gc
import re
import time

import numpy as np
import pytest
from loop_parts import SPEC, Collector, MeanSession, frame, frames, image_of, one_by_one, run_loop, value_of

from daenr_export.loop.frames import Frame, Status
from daenr_export.loop.summary import Cause, Ending


@pytest.mark.parametrize("policy", ["latest", "fifo"])
def test_every_frame_has_its_own_answer_in_order(policy) -> None:
    sink = Collector()
    source = one_by_one([lambda index=index: frame(index) for index in range(200)], sink)
    summary, rows = run_loop(MeanSession(), source, sink, policy=policy)
    assert sink.ids == [row.frame_id for row in rows] == list(range(200))
    for answer in sink.answers:
        mean = value_of(answer.frame_id)
        np.testing.assert_array_equal(answer.value, np.array([[mean, -mean]], np.float32))
        assert not answer.is_fallback
    assert summary.ending is Ending.SOURCE_ENDED
    assert summary.counts[Status.OK] == 200
    assert summary.is_clean
    assert sink.is_closed


def test_what_the_hook_returns_is_the_answer() -> None:
    sink = Collector()
    seen = []

    def hook(frame, outputs):
        seen.append((frame.id, frame.image.mean(), outputs[0, 0]))
        return f"frame {frame.id}"

    _, rows = run_loop(MeanSession(), one_by_one(frames(5), sink), sink, hook=hook)
    assert [answer.value for answer in sink.answers] == [f"frame {index}" for index in range(5)]
    assert seen == [(index, value_of(index), value_of(index)) for index in range(5)]
    assert all(row.inferred_ns <= row.hooked_ns <= row.emitted_ns for row in rows)


def test_several_outputs_come_as_a_tuple_that_the_sink_owns() -> None:
    class TwoOutputs(MeanSession):
        def __call__(self, image):
            rates = super().__call__(image)
            return rates, rates

    sink = Collector()
    run_loop(TwoOutputs(), one_by_one(frames(3), sink), sink)
    for answer in sink.answers:
        assert [part[0, 0] for part in answer.value] == [value_of(answer.frame_id)] * 2
        answer.value[0][:] = 0
        assert answer.value[1].any() or not answer.frame_id


def test_a_source_may_use_its_buffer_again() -> None:
    buffer = image_of(0)

    def source():
        for index in range(50):
            buffer[:] = value_of(index)
            yield Frame(index, buffer, time.monotonic_ns())

    sink = Collector()
    run_loop(MeanSession(), source(), sink, policy="fifo")
    assert [answer.value[0, 0] for answer in sink.answers] == [value_of(index) for index in range(50)]


BAD_FRAMES = {
    "NaN": (lambda: Frame(1, image_of(np.nan), time.monotonic_ns()), 1, Cause.IMAGE, "NaN"),
    "shape": (lambda: Frame(1, image_of(0)[0], time.monotonic_ns()), 1, Cause.IMAGE, r"shape \(1, 32, 32\)"),
    "dtype": (lambda: Frame(1, image_of(0).astype(np.float64), time.monotonic_ns()), 1, Cause.IMAGE, "float64"),
    "range": (lambda: Frame(1, image_of(255), time.monotonic_ns()), 1, Cause.IMAGE, "255"),
    "no array": (lambda: Frame(1, [[0.0]], time.monotonic_ns()), 1, Cause.IMAGE, "builtins.list"),
    "no frame": (lambda: image_of(0), -1, Cause.FRAME, "gave a ndarray, expected a Frame"),
    "None": (lambda: None, -1, Cause.FRAME, "gave a NoneType"),
    "id": (lambda: Frame("one", image_of(0), time.monotonic_ns()), -1, Cause.FRAME, "the id 'one'"),
    "huge id": (lambda: Frame(2**63, image_of(0), time.monotonic_ns()), -1, Cause.FRAME, "64 bits"),
    "stamp": (lambda: Frame(1, image_of(0), time.monotonic()), 1, Cause.FRAME, "time.monotonic_ns"),
}


@pytest.mark.parametrize("bad", BAD_FRAMES)
def test_an_unusable_frame_is_a_fault_of_that_frame_alone(bad) -> None:
    make, frame_id, cause, problem = BAD_FRAMES[bad]
    sink = Collector()
    source = one_by_one([lambda: frame(0), make, lambda: frame(2)], sink)
    summary, rows = run_loop(MeanSession(), source, sink, fallback=np.full((1, 2), 9, np.float32))
    assert sink.ids == [row.frame_id for row in rows] == [0, frame_id, 2]
    assert sink.statuses == [Status.OK, Status.FAULT, Status.OK]
    assert (sink.answers[1].value == 9).all()
    assert summary.faults == {cause: 1}
    assert summary.fallbacks == 1
    assert re.search(problem, summary.problems[cause])
    assert rows[1].emitted_ns


def test_hold_repeats_the_last_good_answer_as_it_went_out() -> None:
    sink = Collector()

    def spoiling_sink(answer) -> None:
        if answer.status is Status.OK:
            first = answer.value[0, 0]
            answer.value[:] = -1  # a sink may do what it likes with its own
            sink(type(answer)(answer.frame_id, answer.captured_ns, first, answer.status))
        else:
            sink(answer)

    bad = lambda: Frame(1, image_of(np.nan), time.monotonic_ns())  # noqa: E731
    source = one_by_one([bad, lambda: frame(7), bad, bad, lambda: frame(9), bad], sink)
    run_loop(MeanSession(), source, spoiling_sink)
    values = [answer.value for answer in sink.answers]
    assert values[0] is None
    assert values[1] == value_of(7)
    np.testing.assert_array_equal(values[2], np.array([[value_of(7), -value_of(7)]]))
    np.testing.assert_array_equal(values[3], values[2])
    assert values[4] == value_of(9)
    assert values[5][0, 0] == value_of(9)


def test_a_callable_fallback_is_told_the_frame() -> None:
    sink = Collector()
    source = one_by_one([lambda: Frame(41, image_of(np.nan), time.monotonic_ns()), lambda: frame(42)], sink)
    run_loop(MeanSession(), source, sink, fallback=lambda frame_id: f"nothing for {frame_id}")
    assert sink.answers[0].value == "nothing for 41"


def test_a_fallback_that_raises_is_counted() -> None:
    sink = Collector()

    def source():
        yield Frame(0, image_of(np.nan), time.monotonic_ns())
        yield from (frame(index) for index in range(1, 3))

    summary, rows = run_loop(MeanSession(), source(), sink, policy="fifo", fallback=lambda frame_id: [][frame_id])
    assert sink.ids == [1, 2]
    assert summary.fallbacks == 0
    assert summary.problems[Cause.FALLBACK] == "IndexError: list index out of range"
    assert {row.frame_id: row.emitted_ns for row in rows}[0] == 0


def test_a_collection_of_garbage_is_noted_on_its_frame() -> None:
    sink = Collector()
    session = MeanSession(lambda call: gc.collect() if call == 1 else None)
    gc.collect()
    gc.disable()
    try:
        summary, rows = run_loop(session, one_by_one(frames(3), sink), sink)
    finally:
        gc.enable()
    assert [row.gc_ran for row in rows] == [False, True, False]
    assert summary.collections == 1


def test_a_session_is_kept_warm_only_if_it_wants_to_be() -> None:
    def pause_then_frame():
        time.sleep(0.05)
        return frame(0)

    warm, cold = MeanSession(keep_warm=True), MeanSession()
    for session in (warm, cold):
        sink = Collector()
        summary, _ = run_loop(session, one_by_one([pause_then_frame] * 3, sink), sink)
        assert summary.counts[Status.OK] == 3
    assert warm.warm_runs > 10
    assert cold.warm_runs == 0


def test_the_summary_can_be_read() -> None:
    sink = Collector()
    bad = Frame(20, image_of(np.nan), time.monotonic_ns())
    source = one_by_one([*[lambda i=i: frame(i) for i in range(20)], bad], sink)
    summary, _ = run_loop(MeanSession(), source, sink)
    text = str(summary)
    assert "21 frames in " in text
    assert "20 ok, 0 late, 0 dropped, 1 fault; ended because: the source ended" in text
    assert "p50 " in text
    assert "p99 " not in text  # 20 frames do not tell
    assert "faults of: image 1" in text
    assert f"first problem of the image: ImageError: image for the graph {SPEC.name}: holds 1024 values" in text
    assert not summary.is_clean
