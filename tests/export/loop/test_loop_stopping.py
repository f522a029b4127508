"""How a loop is stopped from within its process, and what it leaves behind."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
import weakref

import numpy as np
import pytest
from loop_parts import FOREVER_S, LONG_MS, Collector, MeanSession, MemoryLog, check_books, frame, frames, run_loop

from daenr_common.errors import DaenrError
from daenr_export.loop.closed_loop import ClosedLoop
from daenr_export.loop.frames import Status
from daenr_export.loop.summary import Cause, Ending


def endless():
    index = 0
    while True:
        yield frame(index)
        index += 1
        time.sleep(0.002)


def test_stop_ends_an_endless_source_and_what_waits_is_dropped() -> None:
    sink, log = Collector(), MemoryLog()
    asked = threading.Event()

    def stop_and_go_on(call) -> None:
        if call == 0:
            asked.set()
            assert let_go.wait(FOREVER_S)

    let_go = threading.Event()

    def source():
        yield frame(0)
        assert asked.wait(FOREVER_S)
        yield from (frame(1), frame(2), frame(3))
        loop.stop()
        let_go.set()
        yield frame(4)
        raise AssertionError("a loop that was stopped asks for no more frames")

    session = MeanSession(stop_and_go_on)
    loop = ClosedLoop(session, source(), sink, deadline_ms=LONG_MS, policy="fifo", log=log)
    summary = loop.run()
    check_books(summary, log.rows)
    assert summary.ending is Ending.STOPPED
    assert sink.ids == [0]  # the frame at work is finished
    fates = {row.frame_id: row.status for row in log.rows}
    assert fates | {4: Status.DROPPED} == {0: Status.OK} | dict.fromkeys(range(1, 5), Status.DROPPED)
    assert summary.problems == {}


@pytest.mark.parametrize("keep_warm", [False, True])
def test_stop_from_the_sink_ends_a_loop_that_waits(keep_warm) -> None:
    sink = Collector()

    def source():
        yield frame(0)
        wait_for_close.wait(FOREVER_S)

    class Waiting:
        def __iter__(self):
            return source()

        def close(self) -> None:
            wait_for_close.set()

    wait_for_close = threading.Event()

    def stopping_sink(answer) -> None:
        sink(answer)
        loop.stop()

    loop = ClosedLoop(MeanSession(keep_warm=keep_warm), Waiting(), stopping_sink, deadline_ms=LONG_MS)
    summary = loop.run()
    assert summary.ending is Ending.STOPPED
    assert summary.counts[Status.OK] == 1
    assert wait_for_close.is_set()


def test_a_source_that_cannot_be_closed_does_not_hold_the_loop() -> None:
    never = threading.Event()

    def source():
        yield frame(0)
        never.wait(FOREVER_S)
        yield frame(1)  # after the loop has ended: nobody's any more

    sink, log = Collector(), MemoryLog()
    loop = ClosedLoop(MeanSession(), source(), sink, deadline_ms=LONG_MS, log=log)
    threading.Timer(0.2, loop.stop).start()
    summary = loop.run()
    never.set()
    assert summary.frames == len(log.rows) == 1


def test_a_loop_that_was_stopped_before_it_began_ends_at_once() -> None:
    sink = Collector()
    loop = ClosedLoop(MeanSession(), endless(), sink, deadline_ms=LONG_MS)
    loop.stop()
    assert loop.run().ending is Ending.STOPPED


def test_a_loop_runs_once() -> None:
    loop = ClosedLoop(MeanSession(), frames(1), Collector(), deadline_ms=LONG_MS)
    loop.run()
    with pytest.raises(DaenrError, match="closed loop: has run already, and its source and sink are closed; make anot"):
        loop.run()


@pytest.mark.parametrize("closing", ["raises", "blocks"])
def test_closing_what_is_not_ours_cannot_hold_the_loop(closing) -> None:
    release = threading.Event()

    class BadlyClosed(Collector):
        def __iter__(self):
            return frames(1)

        def close(self) -> None:
            if closing == "raises":
                raise OSError("it is gone")
            release.wait(FOREVER_S)

    sink = BadlyClosed()
    try:
        summary, _ = run_loop(MeanSession(), sink, sink)
    finally:
        release.set()
    assert summary.counts[Status.OK] == 1
    text = "OSError: it is gone"
    assert summary.problems == ({Cause.SOURCE: text, Cause.SINK: text} if closing == "raises" else {})


def test_the_process_is_as_it_was() -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    interval, callbacks, threads = sys.getswitchinterval(), list(gc.callbacks), set(threading.enumerate())
    during = []

    def look(answer) -> None:
        during.append((sys.getswitchinterval(), len(gc.callbacks), signal.getsignal(signal.SIGTERM)))

    run_loop(MeanSession(), frames(1), look, hook=lambda frame, outputs: outputs)
    assert during[0][0] < interval
    assert during[0][1] == len(callbacks) + 1
    assert during[0][2] is not handlers[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert sys.getswitchinterval() == interval
    assert gc.callbacks == callbacks
    assert set(threading.enumerate()) <= threads  # those that other tests left behind may end meanwhile


def test_two_loops_in_one_process_keep_apart() -> None:
    interval = sys.getswitchinterval()
    sinks = [Collector(), Collector()]
    outcomes = {}

    def run(which, count) -> None:
        session = MeanSession(keep_warm=bool(which))
        outcomes[which] = run_loop(session, frames(count), sinks[which], policy="fifo", queue=count)

    threads = [threading.Thread(target=run, args=(which, count)) for which, count in enumerate((300, 500))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(FOREVER_S)
    assert [len(sink.ids) for sink in sinks] == [300, 500]
    for which, sink in enumerate(sinks):
        assert sink.ids == sorted(sink.ids)
        assert outcomes[which].summary.counts[Status.OK] == len(sink.ids)
    assert sys.getswitchinterval() == interval


def test_images_and_answers_do_not_outlive_their_frames() -> None:
    alive: list[weakref.ref[np.ndarray]] = []

    def hook(frame, outputs):
        alive.append(weakref.ref(frame.image))
        if frame.id % 3 == 1:
            raise ValueError("a traceback holds on to what it passed through")
        return outputs

    run_loop(MeanSession(), frames(60), lambda answer: None, hook=hook, policy="fifo", queue=60)
    assert len(alive) == 60
    assert not any(image() is not None for image in alive)
