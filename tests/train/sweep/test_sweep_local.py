"""The processes of this machine, for real: killed, interrupted, and used twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sweep_doubles import QUICK, cells_of, paper_csv, plan_of, sweep

from daenr_train.data import open_recording, write_npz
from daenr_train.sweep.code_version import code_version
from daenr_train.sweep.job import Job, Status
from daenr_train.sweep.local import LocalEngine
from daenr_train.sweep.plan import plan_runs

MODELS = ["cae-fr2", "cnn-fr2", "vqvae"]
SETTINGS = QUICK | {"max_steps": 25, "validate_every": 5}
TIMEOUT_S = 240.0


@pytest.fixture(scope="module")
def data(small_recording, tmp_path_factory):
    """A recording and a grid as files, and the tables that a sweep without processes makes of them."""
    folder = tmp_path_factory.mktemp("data")
    write_npz(small_recording, folder / "recording.npz")
    (folder / "grid.json").write_text(
        json.dumps({"models": MODELS, "regions": ["region1"], "seeds": 2, "settings": SETTINGS})
    )
    sweep(folder / "expected", open_recording(folder / "recording.npz"), cells_of(MODELS, seeds=(0, 1)), **SETTINGS)
    return folder


def tables(folder):
    return [(folder / name).read_bytes() for name in ("results.csv", "results.json")]


def start(data, output, *arguments):
    command = [sys.executable, "-m", "daenr_train.cli", "sweep", "--grid", data / "grid.json", "--processes", "2"]
    command += ["--data", data / "recording.npz", "--output", output, *arguments]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process):
    stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    return process.returncode, stdout, stderr


def wait_for(condition, process=None):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.02)


def children_of(pid):
    """Ids of the processes that were started for jobs."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"spawn_main" in (stat.parent / "cmdline").read_bytes():
                found.append(int(stat.parent.name))
        except OSError:
            continue
    return found


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.slow
@pytest.mark.parametrize(("pattern", "count"), [("sweep.json", 1), ("fit.state", 1), ("scores.json", 3)])
def test_killed_at_any_moment_a_sweep_goes_on_to_the_same_table(data, tmp_path, pattern, count, record_property):
    process = start(data, tmp_path / "r")
    wait_for(lambda: len(list((tmp_path / "r").rglob(pattern))) >= count, process)
    time.sleep(random.Random(count).uniform(0, 0.3))
    children = children_of(process.pid)
    process.kill()
    process.communicate()
    wait_for(lambda: all(map(gone, children)))  # the death of the driver ends its processes
    record_property("finished before the kill", len(list((tmp_path / "r").rglob("scores.json"))))
    code, stdout, stderr = end(start(data, tmp_path / "r", "--resume"))
    assert code == 0, stderr
    assert "6 finished" in stdout
    assert stderr == ""  # no progress bar where there is no terminal
    assert tables(tmp_path / "r") == tables(data / "expected")
    assert paper_csv(tmp_path / "r") == paper_csv(data / "expected")


@pytest.mark.slow
def test_ctrl_c_keeps_states_and_says_how_to_go_on(data, tmp_path):
    process = start(data, tmp_path / "r")
    wait_for(lambda: list((tmp_path / "r").rglob("fit.state")), process)
    children = children_of(process.pid)
    assert 1 <= len(children) <= 2

    second = start(data, tmp_path / "r", "--resume")
    code, _, stderr = end(second)
    assert code == 2
    assert stderr.count("\n") == 1
    assert "is in use by another sweep" in stderr

    process.send_signal(signal.SIGINT)
    code, _, stderr = end(process)
    if code != 0:  # it may have finished meanwhile
        assert code == 130
        assert stderr.endswith("of 6 runs finished; the same command with --resume goes on\n")
        assert stderr.count("\n") == 1
        assert "missing" in (tmp_path / "r" / "results.csv").read_text()
    assert all(map(gone, children))
    code, _, stderr = end(start(data, tmp_path / "r", "--resume"))
    assert code == 0, stderr
    assert tables(tmp_path / "r") == tables(data / "expected")


@pytest.mark.slow
def test_a_process_that_dies_takes_only_its_own_job_along(small_recording, tmp_path):
    plan = plan_of(small_recording, cells_of(["cae", "cnn-fr2"]), max_steps=20_000)
    short = plan_of(small_recording, cells_of(["cnn-fr1"]))
    (tmp_path / "state").mkdir()

    def jobs(plan):
        runs = plan_runs(plan.cells, plan.recordings, code_version()).values()
        return [Job(run, None, tmp_path / "state" / run.digest) for run in runs]

    engine = LocalEngine({small_recording.fingerprint: small_recording}, processes=2)
    try:
        victim, survivor = jobs(plan)
        engine.submit(victim)
        wait_for(victim.state_path.exists)
        (pid,) = engine.process_ids
        engine.submit(survivor)
        wait_for(survivor.state_path.exists)
        os.kill(pid, signal.SIGKILL)
        (outcome,) = [outcome for _ in range(1) for outcome in engine.wait(TIMEOUT_S)]
        assert outcome.digest == victim.run.digest
        assert outcome.status is Status.CRASHED
        assert outcome.error == "the process was killed by SIGKILL (out of memory?)"
        (quick,) = jobs(short)
        engine.submit(quick)  # in a new process
        (outcome,) = engine.wait(TIMEOUT_S)
        assert (outcome.digest, outcome.status) == (quick.run.digest, Status.FINISHED)
        assert 100 < outcome.timing["peak_memory_mib"] < 1536
        (outcome,) = engine.stop()
        assert (outcome.digest, outcome.status) == (survivor.run.digest, Status.INTERRUPTED)
    finally:
        pids = engine.process_ids
        engine.close()
    assert all(map(gone, pids))
