"""Loops with real sessions on a real bundle, real logs and the synthetic camera, and what a rig does to them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from loop_parts import LONG_MS, Collector, frame, one_by_one

import daenr_export
from daenr_common.errors import BundleError
from daenr_export.loop.frames import Frame, Status
from daenr_export.loop.log import FrameLog, LogHeader, read_log
from daenr_export.loop.summary import Cause
from daenr_export.transports.synthetic import SyntheticCamera


def open_log(path, model, *backends):
    return FrameLog(path, header=LogHeader(model.manifest.sha256, "responses", backends, "latest", LONG_MS * 10**6))


@pytest.mark.parametrize("keep_warm", [False, True])
def test_a_loop_answers_as_the_model_does_and_its_log_accounts_for_every_frame(
    keep_warm, shared_tiny_bundle, tmp_path
) -> None:
    sink = Collector()
    with daenr_export.load(shared_tiny_bundle) as model:
        log = open_log(tmp_path / "run.log", model, model.backend)
        camera = SyntheticCamera(rate_hz=200, jitter_ms=2, frames=100)
        shown = {frame.id: frame.image.copy() for frame in SyntheticCamera(rate_hz=5000, frames=100)}
        with model.realtime(keep_warm=keep_warm) as session:
            summary = daenr_export.ClosedLoop(session, camera, sink, deadline_ms=LONG_MS, log=log).run()
        for answer in sink.answers:
            np.testing.assert_array_equal(answer.value, model.responses(shown[answer.frame_id]))
    logged = read_log(tmp_path / "run.log")
    assert logged.closed_cleanly
    assert sorted(logged.rows["frame_id"]) == list(range(100))
    for status in Status:
        assert (logged.rows["status"] == status).sum() == summary.counts[status]
    answered = logged.rows[logged.rows["status"] == Status.OK]
    assert len(answered)
    assert (answered["captured_ns"] <= answered["enqueued_ns"]).all()
    assert (answered["enqueued_ns"] <= answered["started_ns"]).all()
    assert (answered["started_ns"] <= answered["inferred_ns"]).all()
    assert (answered["inferred_ns"] <= answered["emitted_ns"]).all()
    assert answered["drops_before"].sum() == summary.counts[Status.DROPPED]


def test_a_graph_with_several_outputs(shared_tiny_bundle) -> None:
    sink = Collector()
    with daenr_export.load(shared_tiny_bundle) as model, model.realtime("joint") as session:
        daenr_export.ClosedLoop(session, one_by_one([frame(3)], sink), sink, deadline_ms=LONG_MS).run()
        expected = model.run("joint", frame(3).image)
    for value, output in zip(sink.answers[0].value, expected.values(), strict=True):
        np.testing.assert_array_equal(value, output)
        assert value.flags.writeable


def test_unusable_frames_are_faults_of_the_real_session_too(shared_tiny_bundle) -> None:
    sink = Collector()
    good = frame(1)
    bad = [
        Frame(2, np.full((1, 1, 32, 32), np.nan, np.float32), good.captured_ns),
        Frame(3, np.zeros((2, 1, 32, 32), np.float32), good.captured_ns),
        Frame(4, np.zeros((1, 1, 32, 32), np.float64), good.captured_ns),
        Frame(5, "no image", good.captured_ns),
    ]
    with daenr_export.load(shared_tiny_bundle) as model, model.realtime() as session:
        loop = daenr_export.ClosedLoop(session, one_by_one([good, *bad, good], sink), sink, deadline_ms=LONG_MS)
        summary = loop.run()
    assert sink.statuses == [Status.OK] + [Status.FAULT] * 4 + [Status.OK]
    assert summary.faults == {Cause.IMAGE: 4}


def test_the_second_backend_takes_over_when_the_first_is_lost(shared_tiny_bundle, tmp_path) -> None:
    """The first session is closed under the loop, as a driver that is unloaded would leave it."""
    sink = Collector()
    with daenr_export.load(shared_tiny_bundle) as first, daenr_export.load(shared_tiny_bundle) as second:
        log = open_log(tmp_path / "run.log", first, "lost", "standby")
        with second.realtime() as standby, first.realtime() as session:

            def lose_session():
                session.retire("lost its device", "restart the driver")
                return frame(2)

            source = one_by_one([lambda: frame(0), lambda: frame(1), lose_session, lambda: frame(3)], sink)
            options = {"deadline_ms": LONG_MS, "standby": standby, "log": log}
            summary = daenr_export.ClosedLoop(session, source, sink, **options).run()
        for answer in sink.answers:
            np.testing.assert_array_equal(answer.value, second.responses(frame(answer.frame_id).image))
    assert sink.statuses == [Status.OK] * 4
    assert "lost its device" in summary.problems[Cause.BACKEND]
    logged = read_log(tmp_path / "run.log")
    assert logged.rows["backend_index"].tolist() == [0, 0, 1, 1]


def test_a_bundle_that_changes_under_a_running_loop(tiny_bundle) -> None:
    sink = Collector()
    pristine = shutil.copytree(tiny_bundle, tiny_bundle.with_name("pristine.daenr"))

    def change_every_file():
        for path in tiny_bundle.rglob("*"):
            if path.is_file() and path.name != "manifest.json":
                path.write_bytes(path.read_bytes()[::-1])
        return frame(5)

    source = one_by_one([*[lambda i=i: frame(i) for i in range(5)], change_every_file, lambda: frame(6)], sink)
    with daenr_export.load(tiny_bundle) as model, model.realtime() as session:
        daenr_export.ClosedLoop(session, source, sink, deadline_ms=LONG_MS).run()
    with daenr_export.load(pristine) as model:
        for answer in sink.answers:
            np.testing.assert_array_equal(answer.value, model.responses(frame(answer.frame_id).image))
    assert sink.statuses == [Status.OK] * 7
    with pytest.raises(BundleError, match="sha256"):
        daenr_export.load(tiny_bundle)


def test_two_loops_of_one_bundle_in_two_threads(shared_tiny_bundle) -> None:
    sinks, problems = [Collector(), Collector()], []

    def run(which) -> None:
        try:
            source = one_by_one([lambda i=i: frame(i) for i in range(which, 200, 2)], sinks[which])
            with daenr_export.load(shared_tiny_bundle) as model, model.realtime() as session:
                daenr_export.ClosedLoop(session, source, sinks[which], deadline_ms=LONG_MS).run()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=run, args=(which,)) for which in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    with daenr_export.load(shared_tiny_bundle) as model:
        for which, sink in enumerate(sinks):
            assert sink.ids == list(range(which, 200, 2))
            for answer in sink.answers:
                np.testing.assert_array_equal(answer.value, model.responses(frame(answer.frame_id).image))


FORKED = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from loop_parts import *
import daenr_export

def run(session):
    sink = Collector()
    summary, _ = run_loop(session, one_by_one([lambda i=i: frame(i) for i in range(10)], sink), sink)
    return [None if answer.value is None else answer.value.tolist() for answer in sink.answers], summary.problems

with daenr_export.load(sys.argv[2]) as model, model.realtime() as session:
    before, _ = run(session)
    reader, writer = os.pipe()
    if not (child := os.fork()):
        inherited, problems = run(session)
        with daenr_export.load(sys.argv[2]) as fresh, fresh.realtime() as own:
            said = {"inherited": inherited, "problems": problems, "own": run(own)[0]}
        os.write(writer, json.dumps(said).encode())
        os._exit(0)
    after, _ = run(session)
    os.waitpid(child, 0)
    print(json.dumps({"before": before, "after": after, "child": json.loads(os.read(reader, 1 << 20))}))
"""


def test_a_fork_after_load(shared_tiny_bundle) -> None:
    command = [sys.executable, "-c", FORKED, str(Path(__file__).parent), str(shared_tiny_bundle)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["before"] == said["after"] == said["child"]["own"]
    assert len(said["before"]) == 10
    # The parent's session would hang or lie in the child: it refuses, and each frame is a fault.
    assert said["child"]["inherited"] == [None] * 10
    assert "forked" in said["child"]["problems"]["backend"]


DISK_FULL = """
import json, resource, sys
sys.path.insert(0, sys.argv[1])
from loop_parts import *
from daenr_export.loop.log import FrameLog, LogHeader

log = FrameLog(sys.argv[2], header=LogHeader(None, "responses", ("test",), "fifo", None), flush_ms=5, capacity=256)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))  # no more room, for this process
sink = Collector()
source = one_by_one([lambda i=i: frame(i) for i in range(2000)], sink)
summary = ClosedLoop(MeanSession(), source, sink, deadline_ms=LONG_MS, log=log).run()
print(json.dumps([len(sink.ids), summary.counts[Status.OK], summary.log_lost, summary.problems["log"]]))
"""


def test_a_full_disk_costs_rows_and_no_answer(tmp_path) -> None:
    path = tmp_path / "run.log"
    command = [sys.executable, "-c", DISK_FULL, str(Path(__file__).parent), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    sent, ok, lost, error = json.loads(done.stdout)
    assert sent == ok == 2000
    assert lost > 1000
    assert str(path) in error
    logged = read_log(path)
    assert not logged.closed_cleanly
    assert logged.rows["frame_id"].tolist() == list(range(len(logged.rows)))
    assert 0 < len(logged.rows) <= 2000 - lost
