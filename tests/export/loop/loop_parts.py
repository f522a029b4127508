"""Parts for loops under test: sessions that can be told what to do, sources, sinks, and a log that stays in memory.

The session checks its images with the runtime's own gate and answers with their means, so that each answer tells which
frame it belongs to. Nothing here depends on how fast the machine is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from daenr_export.loop.closed_loop import ClosedLoop
from daenr_export.loop.frames import Answer, Frame, Status
from daenr_export.loop.summary import Summary
from daenr_export.runtime.gate import Gate
from daenr_export.specs import BatchRange, GraphSpec, TensorSpec

SPEC = GraphSpec(
    "responses",
    TensorSpec("image", "float32", (1, 32, 32)),
    (TensorSpec("responses", "float32", (2,)),),
    BatchRange(1, 1, 1),
)
LONG_MS = 20_000
"""A deadline that no frame of a healthy loop misses, however busy the machine is."""

FOREVER_S = 60


def image_of(value: float) -> np.ndarray:
    return np.full((1, 1, 32, 32), value, np.float32)


def value_of(index: int) -> float:
    """The image's value that the frame with this id shows."""
    return (index % 100) / 128


def frame(index: int) -> Frame:
    return Frame(index, image_of(value_of(index)), time.monotonic_ns())


def frames(count: int) -> Iterator[Frame]:
    return (frame(index) for index in range(count))


class MeanSession:
    """Answers `(1, 2)`: the mean of the image and its negative, in standing buffers that the next frame overwrites.

    Args:
        before: called with the number of the call (from 0) before it is answered; may wait or raise.
    """

    spec = SPEC

    def __init__(self, before: Callable[[int], object] = lambda call: None, *, keep_warm: bool = False) -> None:
        self.keep_warm = keep_warm
        self.calls = 0
        self.warm_runs = 0
        self._before = before
        self._gate = Gate(SPEC)
        self._answer = np.empty((1, 2), np.float32)

    def __call__(self, image: Any) -> np.ndarray:
        call, self.calls = self.calls, self.calls + 1
        image = self._gate(image)
        self._before(call)
        self._answer[0] = image.mean(), -image.mean()
        return self._answer

    def wait_for(self, ready: Callable[[], bool], until_ns: int) -> bool:
        while not ready():
            if time.monotonic_ns() >= until_ns:
                return False
            self.warm_runs += 1
            time.sleep(0.0005)
        return True


class Row(NamedTuple):
    frame_id: int
    captured_ns: int
    enqueued_ns: int
    started_ns: int
    inferred_ns: int
    hooked_ns: int
    emitted_ns: int
    status: Status
    drops_before: int
    backend_index: int
    gc_ran: bool


class MemoryLog:
    """Rows in a list; knows whether it was closed, and refuses rows after that."""

    lost = 0
    error = None

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.is_closed = False

    def append(self, *values: Any) -> None:
        assert not self.is_closed
        row = Row(*values)
        self.rows.append(row._replace(status=Status(row.status)))

    def close(self) -> None:
        self.is_closed = True


class Collector:
    """A sink that keeps what it is given, and lets others wait for it."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.instants: list[int] = []
        self.is_closed = False
        self._more = threading.Condition()

    def __call__(self, answer: Answer) -> None:
        with self._more:
            self.answers.append(answer)
            self.instants.append(time.monotonic_ns())
            self._more.notify_all()

    def close(self) -> None:
        self.is_closed = True

    def wait_for_count(self, count: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: len(self.answers) >= count, FOREVER_S)

    def wait_for_id(self, frame_id: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: frame_id in self.ids, FOREVER_S)

    @property
    def ids(self) -> list[int]:
        return [answer.frame_id for answer in self.answers]

    @property
    def statuses(self) -> list[Status]:
        return [answer.status for answer in self.answers]


def one_by_one(items: Iterable[Any], sink: Collector) -> Iterator[Any]:
    """Give an item when the sink has had something for each before it."""
    for count, item in enumerate(items):
        sink.wait_for_count(count)
        yield item() if callable(item) else item


class Outcome(NamedTuple):
    summary: Summary
    rows: list[Row]


def run_loop(session: Any, source: Iterable[Any], sink: Callable[[Answer], object], **options: Any) -> Outcome:
    """Run a loop to its end, and see that the books agree with each other."""
    log = MemoryLog()
    summary = ClosedLoop(session, source, sink, **{"deadline_ms": LONG_MS, "log": log} | options).run()
    assert log.is_closed
    check_books(summary, log.rows)
    return Outcome(summary, log.rows)


def check_books(summary: Summary, rows: list[Row]) -> None:
    """Each frame has one fate and one row, and the instants of a row are in order."""
    assert len(rows) == summary.frames == sum(summary.counts.values())
    for status in Status:
        assert sum(row.status is status for row in rows) == summary.counts[status]
    assert sum(summary.faults.values()) == summary.counts[Status.FAULT]
    for row in rows:
        instants = [row.enqueued_ns, row.started_ns, row.inferred_ns, row.hooked_ns]
        assert [at for at in instants if at] == sorted(at for at in instants if at)
        if row.status is Status.OK:
            assert row.emitted_ns >= max(instants)
        if row.status is Status.DROPPED:
            assert not row.emitted_ns
