"""SIGINT and SIGTERM to a loop in a process of its own, with a real session and a real log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import pytest

from daenr_export.loop.frames import Status
from daenr_export.loop.log import read_log

PROGRAM = Path(__file__).with_name("loop_process.py")
PATIENCE_S = 60


@contextmanager
def running_loop(bundle, log, special="nothing"):
    """The process, once it has answered some frames, and what it said then."""
    command = [sys.executable, str(PROGRAM), str(bundle), str(log), special]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        patience = Timer(PATIENCE_S, process.kill)
        patience.start()
        try:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            yield process, json.loads(line)
        finally:
            patience.cancel()
            process.kill()


def finish(process):
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert err == ""
    return json.loads(out)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("special", ["nothing", "blocked source", "stuck hook"])
def test_a_signal_ends_the_loop_in_order(number, special, shared_tiny_bundle, tmp_path) -> None:
    with running_loop(shared_tiny_bundle, tmp_path / "run.log", special) as (process, _):
        process.send_signal(number)
        said = finish(process)
    assert said["ending"] == number.name
    assert said["restored"]
    log = read_log(tmp_path / "run.log")
    assert log.closed_cleanly
    assert len(log.rows) == said["frames"] >= 20
    fates = {status.name: int((log.rows["status"] == status).sum()) for status in Status}
    assert fates == said["counts"]
    assert fates["OK"]


def test_threads_of_the_loop_take_neither_core_nor_priority_of_inference(shared_tiny_bundle, tmp_path) -> None:
    """They would starve there: an engine that is kept warm at a real-time priority hardly rests."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        special = "fifo"
    except PermissionError:
        special = "nothing"
    with running_loop(shared_tiny_bundle, tmp_path / "run.log", special) as (process, said):
        assert said["cores"] == sorted(os.sched_getaffinity(0))
        assert said["policy"] == os.SCHED_OTHER
        process.send_signal(signal.SIGTERM)
        assert finish(process)["restored"]


BREAKS_OUT = """
import signal, sys, time, os
sys.path.insert(0, sys.argv[1])
from loop_parts import *
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts without
log = MemoryLog()

def blocking(call):
    os.kill(os.getpid(), signal.SIGINT)  # as if Ctrl-C were pressed while the engine computes, and again
    time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)

sink = Collector()
try:
    ClosedLoop(MeanSession(blocking), frames(1), sink, deadline_ms=100, log=log).run()
except KeyboardInterrupt:
    handler = signal.getsignal(signal.SIGINT)
    print("out", log.is_closed, len(log.rows), sink.is_closed, handler is signal.default_int_handler)
"""


def test_the_second_sigint_breaks_out_of_a_computation_and_the_books_are_closed(tmp_path) -> None:
    command = [sys.executable, "-c", BREAKS_OUT, str(PROGRAM.parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.stdout == "out True 1 True True\n", done.stderr
    assert done.stderr == ""


STUCK = """
import os, signal, sys, threading
sys.path.insert(0, sys.argv[1])
from loop_parts import *

def hook(frame, outputs):
    threading.Event().wait()

summary, rows = run_loop(MeanSession(), frames(1), Collector(), hook=hook, deadline_ms=50)
print(summary.counts)
"""


def test_a_stuck_hook_does_not_keep_the_process(tmp_path) -> None:
    command = [sys.executable, "-c", STUCK, str(PROGRAM.parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "<Status.LATE: 1>: 1" in done.stdout
