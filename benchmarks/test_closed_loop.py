"""What a closed loop adds to inference, what it uses when idle, and whether a million frames wear it out."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from endurance import TrivialSession, endure

from daenr_export import ClosedLoop, Status, load
from daenr_export.loop.log import FrameLog, LogHeader, read_log
from daenr_export.runtime.backends.onnxruntime import OnnxRuntimeBackend
from daenr_export.transports.synthetic import SyntheticCamera

RATE_HZ, SECONDS = 100, 10
STAGES = ("captured_ns", "enqueued_ns", "started_ns", "inferred_ns", "hooked_ns", "emitted_ns")
LONG_MS = 1000


@pytest.fixture
def model(subject):
    with load(subject.bundle, backend=OnnxRuntimeBackend()) as model:
        yield model


def camera():
    return SyntheticCamera(RATE_HZ, seconds=SECONDS)


def hand_on(_frame, rates):
    return rates


def ignore(_answer):
    pass


@pytest.mark.parametrize("keep_warm", [False, True], ids=["cold", "kept warm"])
def test_where_the_time_goes_at_100_hz(model, keep_warm, tmp_path, capsys):
    log = FrameLog(tmp_path / "run.log", header=LogHeader(None, "responses", (model.backend,), "latest", None))
    with model.realtime(keep_warm=keep_warm) as session:
        options = {"deadline_ms": LONG_MS, "hook": hand_on, "log": log}
        summary = ClosedLoop(session, camera(), ignore, **options).run()
    rows = read_log(tmp_path / "run.log").rows
    rows = rows[rows["status"] == Status.OK]
    assert len(rows) == summary.counts[Status.OK] > 0.9 * RATE_HZ * SECONDS
    with capsys.disabled():
        print(f"\n{RATE_HZ} Hz, {'kept warm' if keep_warm else 'cold'}, p50 / p99 in µs:", end="")
        for before, after in [*pairwise(STAGES), (STAGES[0], STAGES[-1])]:
            p50, p99 = np.percentile(rows[after] - rows[before], [50, 99]) / 1e3
            print(f"  {before[:-3]} → {after[:-3]} {p50:.0f} / {p99:.0f}", end="")
        print()


def test_an_idle_loop_uses_at_most_a_twentieth_of_a_core(model, capsys):
    """At 100 Hz with a session that costs nothing, a hook and a sink: all threads of the process together."""
    begin = time.process_time()
    session = TrivialSession(model.graphs["responses"])
    options = {"deadline_ms": LONG_MS, "hook": hand_on}
    summary = ClosedLoop(session, camera(), ignore, **options).run()
    share = (time.process_time() - begin) / summary.seconds
    with capsys.disabled():
        print(f"\nidle at {RATE_HZ} Hz: {share:.1%} of a core")
    assert share <= 0.05


@pytest.mark.parametrize(("kind", "frames"), [("trivial", 1_000_000), ("real", 200_000)])
def test_very_many_frames(model, kind, frames, tmp_path, capsys):
    if kind == "trivial":
        outcome = endure(TrivialSession(model.graphs["responses"]), tmp_path / "run.log", frames=frames)
    else:
        with model.realtime() as session:
            outcome = endure(session, tmp_path / "run.log", frames=frames)
    ratio = outcome.p99_last_ns / outcome.p99_first_ns
    with capsys.disabled():
        print(
            f"\n{frames} frames, {kind} session, {outcome.summary.seconds:.0f} s: memory grew by "
            f"{outcome.growth_bytes / 2**20:.2f} MiB after the first 10 000; p99 of the first 100 000 "
            f"{outcome.p99_first_ns / 1e3:.0f} µs, of the last {outcome.p99_last_ns / 1e3:.0f} µs, ratio {ratio:.2f}"
        )
    assert outcome.rows == outcome.summary.counts[Status.OK] == frames
    assert outcome.growth_bytes < 2 * 2**20
    assert ratio <= 1.2
