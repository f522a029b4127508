"""Writing frame logs: what goes in comes out, nothing blocks or raises, and what is lost is counted exactly."""

from __future__ import annotations

import os
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from log_factory import HEADER, make_rows

from daenr_common.errors import DaenrError, OutputExistsError
from daenr_export.loop.frames import Status
from daenr_export.loop.log import FrameLog, LogHeader, read_log, writer
from daenr_export.loop.log.records import ROW, Rows

NEVER_MS = 1e9  # the writing thread sleeps until the log is closed
PATIENCE_S = 30


def append(log: FrameLog, rows: Rows) -> None:
    order = [*ROW.names[:7], "status", "drops_before", "backend_index", "gc_ran"]
    for row in rows:
        log.append(*(row[name].item() for name in order))


def wait_until(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.005)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "session.dlog"


def test_rows_come_out_as_they_went_in(path: Path) -> None:
    rows = make_rows(5)
    rows["status"] = [Status.OK, Status.LATE, Status.DROPPED, Status.FAULT, Status.OK]
    rows["drops_before"], rows["backend_index"], rows["gc_ran"] = (
        [0, 0, 0, 1, 2**32 - 1],
        [0, 1, -1, 127, 0],
        [0, 1, 0, 0, 1],
    )
    rows["frame_id"] = [-(2**63), 2**63 - 1, 0, -1, 7]
    before_ns, wall_ns = time.monotonic_ns(), time.time_ns()
    with FrameLog(path, header=HEADER) as log:
        append(log, rows)
    after_ns, after_wall_ns = time.monotonic_ns(), time.time_ns()
    run = read_log(path)
    np.testing.assert_array_equal(run.rows, rows)
    assert run.header == HEADER
    assert (run.closed_cleanly, log.lost, log.error) == (True, 0, None)
    assert len(run.anchors) >= 2
    assert all(before_ns <= anchor["monotonic_ns"] <= after_ns for anchor in run.anchors)
    assert all(wall_ns <= anchor["wall_ns"] <= after_wall_ns for anchor in run.anchors)


def test_a_header_says_where_it_comes_from(path: Path) -> None:
    header = LogHeader(None, "responses", ("onnxruntime",), "fifo", None)
    FrameLog(path, header=header).close()
    read = read_log(path).header
    assert read == header
    assert set(read.machine) == {"processor", "architecture", "system", "python", "cores"}
    assert all(read.machine.values())
    assert read.run_id != LogHeader(None, "responses", ("onnxruntime",), "fifo", None).run_id
    assert read.daenr_version != ""


def test_rows_reach_the_file_while_the_log_is_open(path: Path) -> None:
    with FrameLog(path, header=HEADER, flush_ms=1) as log:
        append(log, make_rows(3))
        wait_until(lambda: len(read_log(path).rows) == 3)
        run = read_log(path)
        assert (run.ending, run.cut_bytes) == (None, 0)


def test_anchors_are_written_again_and_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_ANCHOR_EVERY_NS", 1)
    with FrameLog(path, header=HEADER, flush_ms=1):
        wait_until(lambda: len(read_log(path).anchors) > 3)
    anchors = read_log(path).anchors
    assert (np.diff(anchors["monotonic_ns"]) > 0).all()


def test_the_ring_goes_round(path: Path) -> None:
    rows = make_rows(1000)
    with FrameLog(path, header=HEADER, flush_ms=1, capacity=7) as log:
        for row in range(1000):
            wait_until(lambda: log._ring._head - log._ring._tail < 7)
            append(log, rows[row : row + 1])
    np.testing.assert_array_equal(read_log(path).rows, rows)
    assert log.lost == 0


@pytest.mark.parametrize(("capacity", "number"), [(1, 3), (100, 100), (100, 250), (5000, 5001)])
def test_what_a_full_ring_cannot_take_is_counted(path: Path, capacity: int, number: int) -> None:
    rows = make_rows(number)
    with FrameLog(path, header=HEADER, flush_ms=NEVER_MS, capacity=capacity) as log:
        append(log, rows)
        assert log.lost == number - capacity if number > capacity else log.lost == 0
    run = read_log(path)
    np.testing.assert_array_equal(run.rows, rows[:capacity])
    assert run.lost == log.lost == max(number - capacity, 0)
    assert run.closed_cleanly


def test_two_threads_append_at_once(path: Path) -> None:
    rows = make_rows(20_000)
    halves = rows[:10_000], rows[10_000:]
    with FrameLog(path, header=HEADER, flush_ms=1) as log:
        threads = [threading.Thread(target=append, args=(log, half)) for half in halves]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    read = read_log(path).rows
    assert (len(read), log.lost) == (20_000, 0)
    for half in halves:
        mine = np.isin(read["frame_id"], half["frame_id"])
        np.testing.assert_array_equal(read[mine], half)


@pytest.mark.parametrize(
    "values",
    [
        ("one", 1, 1, 1, 1, 1, 1, 0, 0, 0, False),
        (2**63, 1, 1, 1, 1, 1, 1, 0, 0, 0, False),
        (1, 1.5, 1, 1, 1, 1, 1, 0, 0, 0, False),
        (1, None, 1, 1, 1, 1, 1, 0, 0, 0, False),
        (1, 1, 1, 1, 1, 1, 1, 0, -1, 0, False),
        (1, 1, 1, 1, 1, 1, 1, 0, 0, 128, False),
        (1, 1, 1, 1, 1, 1, 1, 0, 0, 0, np.zeros(2)),
    ],
)
def test_a_row_that_does_not_fit_is_lost_and_said_to_be(path: Path, values: tuple[object, ...]) -> None:
    with FrameLog(path, header=HEADER) as log:
        log.append(*values)
        append(log, make_rows(1))
        assert log.lost == 1
        assert log.error is not None
        assert log.error.startswith(f"{path}: a row does not fit the log (")
    run = read_log(path)
    np.testing.assert_array_equal(run.rows, make_rows(1))
    assert run.ending is not None
    assert run.ending.error == log.error


def test_appending_to_a_closed_log_loses_the_row(path: Path) -> None:
    log = FrameLog(path, header=HEADER)
    log.close()
    log.close()
    append(log, make_rows(2))
    assert log.lost == 2
    assert read_log(path).closed_cleanly


def test_an_existing_file_is_replaced_only_by_force(path: Path) -> None:
    FrameLog(path, header=HEADER).close()
    with pytest.raises(OutputExistsError, match=r"session\.dlog: exists already"):
        FrameLog(path, header=HEADER)
    path.write_bytes(bytes(100_000))
    FrameLog(path, header=HEADER, force=True).close()
    assert read_log(path).closed_cleanly


def test_two_loops_do_not_write_one_file(path: Path) -> None:
    pytest.importorskip("fcntl")
    with FrameLog(path, header=HEADER) as log:
        with pytest.raises(DaenrError, match=r"session\.dlog: is being written by another loop; choose another output"):
            FrameLog(path, header=HEADER, force=True)
        append(log, make_rows(2))
    assert len(read_log(path).rows) == 2


def test_two_logs_in_one_process_keep_apart(tmp_path: Path) -> None:
    with (
        FrameLog(tmp_path / "a.dlog", header=HEADER) as first,
        FrameLog(tmp_path / "b.dlog", header=HEADER) as second,
    ):
        append(first, make_rows(4)[:2])
        append(second, make_rows(4)[2:])
    assert read_log(tmp_path / "a.dlog").rows["frame_id"].tolist() == [0, 1]
    assert read_log(tmp_path / "b.dlog").rows["frame_id"].tolist() == [2, 3]


def test_what_cannot_be_a_log_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DaenrError, match=r"is not a file; give the file to write"):
        FrameLog(tmp_path, header=HEADER, force=True)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DaenrError, match=r"pipe: is not a file; give the file to write"):
        FrameLog(tmp_path / "pipe", header=HEADER, force=True)
    (tmp_path / "file").touch()
    with pytest.raises(DaenrError, match=r"a\.dlog: cannot be written \(.*\); choose another output"):
        FrameLog(tmp_path / "file" / "a.dlog", header=HEADER)
    for setting in ({"flush_ms": 0}, {"flush_ms": float("nan")}, {"capacity": 0}):
        with pytest.raises(DaenrError, match=r"flush_ms, capacity: are .*; give positive numbers"):
            FrameLog(tmp_path / "a.dlog", header=HEADER, **setting)  # type: ignore[arg-type]
    assert not (tmp_path / "a.dlog").exists()


def test_a_disk_that_is_full_from_the_start_is_said_before_the_run() -> None:
    with pytest.raises(DaenrError, match=r"^/dev/full: the disk is full; choose another output$"):
        FrameLog("/dev/full", header=HEADER, force=True)
    assert Path("/dev/full").exists()


def test_a_disk_that_fills_up_is_noted_and_what_is_lost_is_counted(path: Path) -> None:
    rows = make_rows(100)
    log = FrameLog(path, header=HEADER, flush_ms=1)
    append(log, rows[:40])
    wait_until(lambda: len(read_log(path).rows) == 40)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, log._output._file)
    os.close(full)
    append(log, rows[40:])
    wait_until(lambda: log.error)
    assert log.error == f"{path}: the disk is full"
    assert log.lost == 0  # there is room in the ring still, and perhaps on the disk soon
    log.close()
    assert log.lost == 60
    run = read_log(path)
    np.testing.assert_array_equal(run.rows, rows[:40])
    assert not run.closed_cleanly


def test_a_disk_that_hangs_stops_neither_the_loop_nor_its_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_PATIENCE_S", 0.1)
    log = FrameLog(path, header=HEADER, flush_ms=1)
    thread = log._thread
    assert thread is not None
    reading, writing = os.pipe()  # a pipe that nobody empties takes 64 KiB, and then makes its writer wait
    os.dup2(writing, log._output._file)
    os.close(writing)
    append(log, make_rows(5000))
    log.close()
    assert log.error == f"{path}: the disk did not answer for 0 s"
    assert thread.is_alive()
    while os.read(reading, 2**16):
        pass
    os.close(reading)
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_rows_outlast_a_moment_without_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter([MemoryError("no room")])
    real = writer.block

    def block(kind: bytes, *parts: bytes | memoryview) -> bytes:
        for failure in failures:
            raise failure
        return real(kind, *parts)

    with FrameLog(path, header=HEADER, flush_ms=1) as log:
        monkeypatch.setattr(writer, "block", block)
        append(log, make_rows(10))
        wait_until(lambda: len(read_log(path).rows) == 10)
    assert log.error == f"{path}: MemoryError: no room"
    assert (log.lost, read_log(path).closed_cleanly) == (0, True)


def test_appending_leaves_nothing_in_memory(path: Path) -> None:
    rows = [tuple(row) for row in make_rows(1).tolist()] * 20_000
    with FrameLog(path, header=HEADER, flush_ms=NEVER_MS) as log:
        tracemalloc.start()
        try:
            for row in rows[:10_000]:
                log.append(*row)
            before, _ = tracemalloc.get_traced_memory()
            for row in rows[10_000:]:
                log.append(*row)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert after - before < 1000  # bytes, for 10 000 rows
    assert log.lost == 0


@pytest.mark.alone
def test_appending_takes_microseconds(path: Path, record_property: Callable[[str, object], None]) -> None:
    took_ns = np.empty(20_000, np.int64)
    with FrameLog(path, header=HEADER) as log:
        for index in range(len(took_ns)):
            before_ns = time.perf_counter_ns()
            log.append(1, 2**60, 2**60, 2**60, 2**60, 2**60, 2**60, 0, 0, 0, False)
            took_ns[index] = time.perf_counter_ns() - before_ns
    p50, p99 = np.percentile(took_ns, [50, 99], method="inverted_cdf")
    record_property("append, µs", f"p50 {p50 / 1000:.2f}, p99 {p99 / 1000:.2f}")
    assert p50 < 3000
