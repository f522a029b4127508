"""`daenr-bench log` from end to end: the summary, the exit codes, and bad input in one line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from bench_checks import assert_one_line
from click.testing import Result
from log_factory import HEADER, MS, make_anchors, make_rows, write_log

from daenr_common import extras
from daenr_export.loop.log.records import Rows

Invoke = Callable[..., Result]


def test_a_summary(invoke: Invoke, log: Path) -> None:
    result = invoke(log)
    assert result.exit_code == 0, result.output
    for line in (
        "graph responses, policy latest, deadline 8 ms, opened 2026-11-18T11:06:40.000+00:00",
        "700 frames in 6.990 s, 100.00 per second: 695 ok, 3 late, 2 dropped, 0 fault",
        "deadline misses: 3; most frames in a row not ok: 4",
        "capture to enqueue 700 0.100 0.100 0.100 – 0.100",
        "inference 698 2.000 2.000 2.000 – 2.000",
        "age at emit 698 3.000 3.000 3.000 – 3.000",
        "note: refused: p99.9 (700 samples, at least 6636 are needed)",
        "backends: onnxruntime 298, openvino 400; switches: 1",
        "frames with a garbage collection: 1",
        "ids: 0 to 699, contiguous",
        "wall clock: JUMPED (or the machine slept): +250.0 ms after 2 s; apart from that drifted 0.000 ms",
        "session.daenrlog: pass (every frame is accounted for)",
    ):
        assert line in re.sub(" +", " ", result.stdout)
    assert "warning" not in result.stdout


def test_what_is_odd_is_pointed_out(invoke: Invoke, tmp_path: Path, rows: Rows) -> None:
    rows["frame_id"][5] = 4
    rows["captured_ns"] += 10**18
    result = invoke(write_log(tmp_path / "a.dlog", rows, make_anchors(1)))
    assert "ids: 0 to 699, 1 missing, 1 repeated, 0 out of order" in result.stdout
    assert "warning: 700 frames were captured after they arrived: the source's time stamps are not of" in result.stdout
    assert "wall clock: was not read often enough to tell" in result.stdout


def test_exit_codes(invoke: Invoke, tmp_path: Path, rows: Rows) -> None:
    lost = invoke(write_log(tmp_path / "a.dlog", rows, lost=4))
    assert (lost.exit_code, lost.stdout.splitlines()[-1]) == (1, "a.dlog: fail (4 rows are lost)")
    killed = invoke(write_log(tmp_path / "b.dlog", rows, closed=False))
    assert killed.exit_code == 3
    assert "b.dlog: cannot tell (the log was not closed: what came after its last row is not known)" in killed.stdout
    empty = invoke(write_log(tmp_path / "c.dlog", make_rows(0)))
    assert (empty.exit_code, empty.stdout.splitlines()[-1]) == (3, "c.dlog: cannot tell (the log holds no frame)")
    assert "ids: none" in empty.stdout
    assert "backends: none ran" in empty.stdout


def test_json(invoke: Invoke, log: Path, tmp_path: Path) -> None:
    result = invoke(log, "--json", "summary.json")
    assert result.stdout.endswith("wrote summary.json\n")
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert summary["schema_version"] == 1
    assert (summary["verdict"], summary["lost_rows"], summary["closed"], summary["cut_bytes"]) == ("pass", 0, True, 0)
    assert summary["by_status"] == {"ok": 695, "late": 3, "dropped": 2, "fault": 0}
    assert summary["run"]["bundle_sha256"] == HEADER.bundle_sha256
    assert summary["stages"]["hook"]["n"] == 697
    assert summary["stages"]["hook"]["percentiles"]["p99"]["value_ns"] == MS // 2
    assert summary["stages"]["hook"]["percentiles"]["p99.9"]["value_ns"] is None
    assert summary["wall_clock"]["steps"] == [{"after_s": 2.0, "by_ns": 250 * MS}]


def test_files_that_exist_are_replaced_only_by_force(invoke: Invoke, log: Path, tmp_path: Path) -> None:
    for name in ("json", "csv", "parquet", "nwb"):
        (tmp_path / f"a.{name}").write_text("precious")
        assert_one_line(invoke(log, f"--{name}", f"a.{name}"), f"a.{name}: exists already", "--force")
        assert (tmp_path / f"a.{name}").read_text() == "precious"
    assert invoke(log, "--csv", "a.csv", "--force").exit_code == 0
    assert (tmp_path / "a.csv").read_text("utf-8").startswith("frame_id,")


def test_outputs_that_would_spoil_something_are_one_line(invoke: Invoke, log: Path, tmp_path: Path) -> None:
    content = log.read_bytes()
    assert_one_line(invoke(log, "--csv", "session.daenrlog", "--force"), "session.daenrlog: is the log itself", "--csv")
    assert_one_line(invoke(log, "--csv", "a", "--json", tmp_path / "a"), "a: is the json file too", "--csv")
    assert_one_line(invoke(log, "--csv", tmp_path), "is a folder; give the file to write")
    assert log.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["session.daenrlog"]


def assert_one_line_after_the_summary(result: Result, fragment: str) -> None:
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.strip().splitlines()
    assert fragment in line


@pytest.mark.parametrize(
    ("option", "package", "extra"), [("--parquet", "pyarrow", "parquet"), ("--nwb", "pynwb", "nwb")]
)
def test_a_package_that_is_missing_is_named_with_its_extra(
    invoke: Invoke, log: Path, monkeypatch: pytest.MonkeyPatch, option: str, package: str, extra: str
) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda module: False)
    result = invoke(log, option, "a.out")
    assert_one_line(result, f"{package}: is needed for writing", "is not installed; pip install", f"'daenr[{extra}]'")


def test_nwb_of_a_log_without_a_date_is_one_line(invoke: Invoke, tmp_path: Path) -> None:
    pytest.importorskip("pynwb")
    log = write_log(tmp_path / "a.dlog", make_rows(3), make_anchors(0))
    assert_one_line_after_the_summary(invoke(log, "--nwb", "a.nwb"), "a.dlog: ends before its first anchor")


def test_what_is_no_log_is_one_line(invoke: Invoke, tmp_path: Path) -> None:
    assert_one_line(invoke("absent.dlog"), "absent.dlog: does not exist; give a file that a closed loop wrote")
    (tmp_path / "empty").touch()
    assert_one_line(invoke("empty"), "empty: is empty")
    (tmp_path / "foreign").write_text("frame,status\n1,ok\n")
    assert_one_line(invoke("foreign"), "foreign: is not a frame log")
    assert_one_line(invoke(tmp_path), "Is a directory")
    assert_one_line(invoke(), "Missing argument 'FILE'")


def test_help_tells_examples_and_exit_codes(invoke: Invoke) -> None:
    result = invoke("--help")
    assert "daenr-bench log session.daenrlog --json summary.json --csv frames.csv" in result.stdout
    assert re.search(r"3 +cannot tell: the loop was killed or writes still", result.stdout)
