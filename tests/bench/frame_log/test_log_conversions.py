"""The rows of a frame log as CSV, Parquet and NWB."""

from __future__ import annotations

import csv
import datetime
import json
import math
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from log_factory import HEADER, MS, START_NS, WALL_NS, make_anchors, make_rows, write_log

from daenr_bench.frame_log import columns, write_nwb
from daenr_common.errors import DaenrError
from daenr_export.loop.log import read_log
from daenr_export.loop.log.records import Rows

Invoke = Callable[..., Result]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns.chunks, "__defaults__", (64,))


@pytest.mark.usefixtures("small_chunks")
def test_csv(invoke: Invoke, log: Path, tmp_path: Path, rows: Rows) -> None:
    assert invoke(log, "--csv", "frames.csv").exit_code == 0
    with (tmp_path / "frames.csv").open(newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [int(row["frame_id"]) for row in read] == rows["frame_id"].tolist()
    for name in ("captured_ns", "enqueued_ns", "started_ns", "inferred_ns", "hooked_ns", "emitted_ns"):
        assert [int(row[name] or 0) for row in read] == rows[name].tolist()
    assert read[13] | {"captured_utc_ns": ""} == {
        "frame_id": "13",
        "captured_utc_ns": "",
        "captured_ns": str(START_NS + 130 * MS),
        "enqueued_ns": str(START_NS + 130 * MS + MS // 10),
        **dict.fromkeys(("started_ns", "inferred_ns", "hooked_ns", "emitted_ns"), ""),
        **dict.fromkeys(("age_at_start_ns", "age_at_emit_ns", "backend"), ""),
        "status": "dropped",
        "drops_before": "0",
        "gc_ran": "0",
    }
    assert (read[10]["status"], read[10]["backend"], read[400]["backend"]) == ("late", "onnxruntime", "openvino")
    assert (read[14]["drops_before"], read[7]["gc_ran"], read[14]["age_at_emit_ns"]) == ("1", "1", str(3 * MS))
    assert int(read[0]["captured_utc_ns"]) == WALL_NS
    assert int(read[350]["captured_utc_ns"]) == WALL_NS + 3750 * MS  # after the jump


@pytest.mark.usefixtures("small_chunks")
def test_parquet(invoke: Invoke, log: Path, tmp_path: Path, rows: Rows) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert invoke(log, "--parquet", "frames.parquet", "--csv", "frames.csv").exit_code == 0
    table = parquet.read_table(tmp_path / "frames.parquet")
    assert json.loads(table.schema.metadata[b"daenr"])["run_id"] == HEADER.run_id
    assert {name: str(table.schema.field(name).type) for name in ("frame_id", "drops_before", "gc_ran")} == {
        "frame_id": "int64",
        "drops_before": "uint32",
        "gc_ran": "bool",
    }
    assert table.column("started_ns").null_count == 2
    # The same values as in the CSV, which another test compares with the log.
    with (tmp_path / "frames.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert table.column_names == list(lines[0])
    for line, row in zip(lines, table.to_pylist(), strict=True):
        row["gc_ran"] = int(row["gc_ran"])
        assert {name: "" if value is None else str(value) for name, value in row.items()} == line


def test_nwb(invoke: Invoke, log: Path, tmp_path: Path, rows: Rows) -> None:
    pynwb = pytest.importorskip("pynwb")
    assert invoke(log, "--nwb", "session.nwb").exit_code == 0
    assert pynwb.validate(path=str(tmp_path / "session.nwb")) == []
    with pynwb.NWBHDF5IO(str(tmp_path / "session.nwb"), "r") as file:
        session = file.read()
        assert session.identifier == HEADER.run_id
        assert session.session_description == "closed loop on graph responses, policy latest, a deadline of 8 ms"
        assert session.session_start_time == datetime.datetime(2026, 11, 18, 11, 6, 40, tzinfo=datetime.UTC)
        assert json.loads(session.notes)["bundle_sha256"] == HEADER.bundle_sha256
        assert "0 ok, 1 late, 2 dropped, 3 fault" in session.intervals["frames"]["status"].description
        assert "0 onnxruntime, 1 openvino, -1 none" in session.intervals["frames"]["backend"].description
        frames = session.intervals["frames"].to_dataframe()
    assert frames["frame_id"].tolist() == rows["frame_id"].tolist()
    # The session's start has whole microseconds; the instants count from it to the nanosecond.
    np.testing.assert_allclose(frames["start_time"], np.arange(700) * 0.01 + 123e-9, atol=2e-9)
    for name in ("status", "drops_before", "gc_ran"):
        assert frames[name].tolist() == rows[name].tolist()
    assert frames["backend"].tolist() == rows["backend_index"].tolist()
    ages_s = np.where(rows["emitted_ns"] == 0, np.nan, 0.003)
    np.testing.assert_allclose(frames["emitted_time"] - frames["start_time"], ages_s, atol=2e-9)
    assert frames["stop_time"][13] - frames["start_time"][13] == pytest.approx(0.0001)
    assert math.isnan(frames["hooked_time"][20])


@pytest.mark.parametrize("number", [0, 1])
def test_the_smallest_logs_convert(invoke: Invoke, tmp_path: Path, number: int) -> None:
    pynwb, parquet = pytest.importorskip("pynwb"), pytest.importorskip("pyarrow.parquet")
    log = write_log(tmp_path / "a.dlog", make_rows(number))
    result = invoke(log, "--csv", "a.csv", "--parquet", "a.parquet", "--nwb", "a.nwb", "--json", "a.json")
    assert result.exit_code == (0 if number else 3), result.output
    assert result.stdout.endswith("wrote a.json\nwrote a.csv\nwrote a.parquet\nwrote a.nwb\n")
    assert len((tmp_path / "a.csv").read_text("utf-8").splitlines()) == number + 1
    assert parquet.read_table(tmp_path / "a.parquet").num_rows == number
    assert pynwb.validate(path=str(tmp_path / "a.nwb")) == []


def test_statuses_and_backends_that_nobody_named_convert(invoke: Invoke, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    rows = make_rows(3)
    rows["status"], rows["backend_index"] = [0, 9, 1], [0, 1, 7]
    invoke(write_log(tmp_path / "a.dlog", rows, make_anchors(0)), "--csv", "a.csv", "--parquet", "a.parquet")
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [(line["status"], line["backend"]) for line in lines] == [
        ("ok", "onnxruntime"),
        ("9", "openvino"),
        ("late", "7"),
    ]
    assert {line["captured_utc_ns"] for line in lines} == {""}


def in_a_process(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", ["csv", "parquet", "nwb", "json"])
def test_a_disk_without_room_leaves_nothing_half_written(log: Path, tmp_path: Path, kind: str) -> None:
    pytest.importorskip({"parquet": "pyarrow", "nwb": "pynwb"}.get(kind, "csv"))
    pytest.importorskip("resource")
    # The limit on the size of files lets the system refuse a write, as a full disk does.
    script = """
        import resource, sys
        from daenr_bench.cli import main
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
        main(["log", *sys.argv[1:]])
    """
    done = in_a_process(script, log, f"--{kind}", tmp_path / f"a.{kind}")
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert re.search(
        rf"daenr-bench: .*a\.{kind}: cannot be written \(.*File too large.*\); choose another output", line
    )
    assert [path.name for path in tmp_path.iterdir()] == ["session.daenrlog"]


def test_an_nwb_file_that_does_not_hold_the_log_is_found(invoke: Invoke, log: Path, tmp_path: Path) -> None:
    pytest.importorskip("pynwb")
    h5py = pytest.importorskip("h5py")
    assert invoke(log, "--nwb", "a.nwb").exit_code == 0
    run = read_log(log)
    with h5py.File(tmp_path / "a.nwb", "r+") as file:
        write_nwb.check_written(tmp_path / "a.nwb", file, run.rows, write_nwb._columns(run))
        file["intervals/frames/drops_before"][77] = 5
        with pytest.raises(DaenrError, match=r"a\.nwb: was not written as it should be \(column drops_before\)"):
            write_nwb.check_written(tmp_path / "a.nwb", file, run.rows, write_nwb._columns(run))


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--csv", "--parquet", "--nwb"])
def test_a_million_frames_take_less_than_300_mib(
    tmp_path: Path, option: str, record_property: Callable[[str, object], None]
) -> None:
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("the system does not say how much memory a process had at most")
    log = write_log(tmp_path / "a.dlog", make_rows(1_000_000))
    script = """
        import sys
        from pathlib import Path
        from daenr_bench.cli import main
        try:
            main(["log", *sys.argv[1:]])
        finally:
            print(Path("/proc/self/status").read_text("utf-8").partition("VmHWM:")[2].split()[0], file=sys.stderr)
    """
    done = in_a_process(script, log, option, tmp_path / "a.out")
    assert done.returncode == 0, done.stderr
    most_mib = int(done.stderr.splitlines()[-1]) // 1024
    record_property(f"memory of {option}, MiB", most_mib)
    assert most_mib < 300
