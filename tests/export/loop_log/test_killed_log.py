"""Frame logs of processes that end otherwise than by closing them."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from log_factory import HEADER

from daenr_export.loop.log import read_log

if sys.platform == "win32":
    pytest.skip("signals and forks are those of POSIX", allow_module_level=True)

PRELUDE = """
import os, sys, time
from daenr_export.loop.log import FrameLog, LogHeader
path = sys.argv[1]
header = LogHeader(None, "responses", ("onnxruntime",), "latest", None)

def append(log, number):
    stamp = time.monotonic_ns()
    log.append(number, stamp, stamp, stamp, stamp, stamp, stamp, 0, 0, 0, False)
    return stamp
"""


def start(script: str, path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PRELUDE + textwrap.dedent(script), str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    return output


AT_1_KHZ = """
log = FrameLog(path, header=header)
due_ns = time.monotonic_ns()
for number in range(1_000_000):
    print(append(log, number), flush=True)
    due_ns += 1_000_000
    time.sleep(max(due_ns - time.monotonic_ns(), 0) / 1e9)
"""


def lost_to_a_kill_ms(path: Path, after_rows: int) -> float:
    """Kill a process that appends at 1 kHz; what lies between the last row that it printed and the last in the file."""
    process = start(AT_1_KHZ, path)
    assert process.stdout is not None
    with process, process.stdout as lines:
        printed = [lines.readline() for _ in range(after_rows)]
        process.send_signal(signal.SIGKILL)
        printed += [line for line in lines if line.endswith("\n")]
    assert process.returncode == -signal.SIGKILL
    run = read_log(path)
    assert run.ending is None
    np.testing.assert_array_equal(run.rows["frame_id"], np.arange(len(run.rows)))
    assert len(run.rows)
    return (int(printed[-1]) - int(run.rows["captured_ns"][-1])) / 1e6


def test_a_killed_process_leaves_a_log_without_holes(tmp_path: Path) -> None:
    assert lost_to_a_kill_ms(tmp_path / "a.dlog", 500) < 2000  # other tests run beside this one


@pytest.mark.alone
@pytest.mark.parametrize("after_rows", [600, 777, 925])
def test_a_killed_process_loses_at_most_the_last_100_ms(
    tmp_path: Path, after_rows: int, record_property: pytest.RecordProperty
) -> None:
    lost_ms = lost_to_a_kill_ms(tmp_path / "a.dlog", after_rows)
    record_property("lost to SIGKILL, ms", round(lost_ms, 1))
    assert lost_ms <= 100


def test_a_process_that_ends_without_closing_its_log_closes_it(tmp_path: Path) -> None:
    finish(start("log = FrameLog(path, header=header, flush_ms=1e9)\nappend(log, 7)", tmp_path / "a.dlog"))
    run = read_log(tmp_path / "a.dlog")
    assert run.closed_cleanly
    assert run.rows["frame_id"].tolist() == [7]


def test_a_forked_child_writes_nothing_and_waits_for_nothing(tmp_path: Path) -> None:
    script = """
    closed = FrameLog(path + "2", header=header)
    closed.close()
    log = FrameLog(path, header=header, flush_ms=1e9)
    append(log, 0)
    log._ring._lock.acquire()  # as a thread does that the child does not have
    child = os.fork()
    if child == 0:
        append(log, 1)
        log.close()
        print("child", log.lost, flush=True)
        os._exit(0)
    log._ring._lock.release()
    assert os.waitpid(child, 0)[1] == 0
    append(log, 2)
    log.close()
    print("parent", log.lost)
    """
    assert finish(start(script, tmp_path / "a.dlog")) == "child 1\nparent 0\n"
    run = read_log(tmp_path / "a.dlog")
    assert run.closed_cleanly
    assert run.rows["frame_id"].tolist() == [0, 2]


def test_a_disk_that_was_full_for_a_while_has_all_rows_in_the_end(tmp_path: Path) -> None:
    # The limit on the size of files stops a write in the middle of a block, as a full disk does.
    script = f"""
    import resource
    log = FrameLog(path, header=header, flush_ms=1)
    resource.setrlimit(resource.RLIMIT_FSIZE, ({len(HEADER.to_bytes()) + 20_000}, resource.RLIM_INFINITY))
    for number in range(2000):
        append(log, number)
    while log.error is None:
        time.sleep(0.001)
    for number in range(2000, 3000):
        append(log, number)
    size = os.path.getsize(path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    log.close()
    print(size, log.lost, log.error)
    """
    path = tmp_path / "a.dlog"
    size, lost, error = finish(start(script, path)).split(maxsplit=2)
    assert (int(size), lost) == (len(HEADER.to_bytes()) + 20_000, "0")
    assert error.strip() == f"{path}: cannot be written (File too large)"
    run = read_log(path)
    np.testing.assert_array_equal(run.rows["frame_id"], np.arange(3000))
    assert run.closed_cleanly
    assert run.ending is not None
    assert run.ending.error == error.strip()
