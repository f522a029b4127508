"""Overload and endurance: how old answers get, and what stays constant over many frames."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
from loop_parts import FOREVER_S, LONG_MS, Collector, MeanSession, frame, run_loop

import daenr_export
from daenr_export.loop.frames import Status
from daenr_export.loop.log import FrameLog, LogHeader, read_log

PERIOD_S, SERVICE_S = 0.010, 0.015


class SlowSession(MeanSession):
    """Takes a fixed time for each frame, as an engine does: without holding Python's lock."""

    def __init__(self) -> None:
        self.service_ns: list[int] = []
        super().__init__(lambda call: self.serve())

    def serve(self) -> None:
        start = time.monotonic_ns()
        time.sleep(SERVICE_S)
        self.service_ns.append(time.monotonic_ns() - start)


def on_schedule(count):
    start = time.monotonic()
    for index in range(count):
        time.sleep(max(start + index * PERIOD_S - time.monotonic(), 0))
        yield frame(index)


@pytest.mark.alone
def test_under_overload_latest_keeps_answers_young_and_counts_every_drop() -> None:
    """Service takes 1.5 periods: a third of the frames has to go, and none that is answered is old."""
    count, sink, session = 300, Collector(), SlowSession()
    summary, rows = run_loop(session, on_schedule(count), sink, deadline_ms=LONG_MS)
    answered = sorted(row for row in rows if row.status is Status.OK)
    oldest_ms = max(row.emitted_ns - row.captured_ns for row in answered) / 1e6
    assert oldest_ms < 2 * PERIOD_S * 1e3 + max(session.service_ns) / 1e6
    assert summary.counts[Status.OK] == len(session.service_ns) - summary.unsent == len(sink.ids)
    assert summary.counts[Status.DROPPED] == count - len(sink.ids)
    assert 0.28 < summary.counts[Status.DROPPED] / count < 0.5
    # The drops that a row tells of are exactly the frames between it and the one before.
    ids = [row.frame_id for row in answered]
    assert [row.drops_before for row in answered] == [after - before - 1 for before, after in pairwise([-1, *ids])]


def resident_bytes() -> int:
    """Memory of this process that is its own: file-backed pages come and go with the page cache."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) * 1024


@pytest.mark.alone
def test_a_loop_takes_no_more_memory_the_longer_it_runs(shared_tiny_bundle, tmp_path) -> None:
    """The benchmarks do this with a million frames."""
    count, answered, resident = 40_000, threading.Semaphore(1), {}

    def source():
        for index in range(count):
            assert answered.acquire(timeout=FOREVER_S)
            if index in (10_000, count - 1):
                resident[index] = resident_bytes()
            yield frame(index)

    with daenr_export.load(shared_tiny_bundle) as model:
        log = FrameLog(tmp_path / "run.log", header=LogHeader(None, "responses", (model.backend,), "latest", None))
        with model.realtime() as session:
            options = {"deadline_ms": LONG_MS, "hook": lambda frame, outputs: outputs, "log": log}
            summary = daenr_export.ClosedLoop(session, source(), lambda answer: answered.release(), **options).run()
    assert summary.counts[Status.OK] == len(read_log(tmp_path / "run.log").rows) == count
    growth = resident[count - 1] - resident[10_000]
    assert growth < 2 * 2**20, f"{growth / 2**20:.2f} MiB"
