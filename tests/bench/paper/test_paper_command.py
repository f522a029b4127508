"""`daenr-bench paper` from end to end: on a real sweep, on half of one, and on what it cannot use."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bench_checks import assert_one_line
from click.testing import Result
from paper_factory import REAL, grid_cells, plausible, write_sweep

from daenr_bench.paper.metrics import CORRELATION_WITH, CORRELATIONS
from daenr_bench.paper.write import PAGE, PICTURE, TEXT
from daenr_train.sweep.grid import Cell

Invoke = Callable[..., Result]

TABLES = ("table2", "table3", "table4", "table5", "table6", "figure3", "figure4")
FILES = sorted([*(f"{name}.csv" for name in (*TABLES, "claims")), PAGE, TEXT, PICTURE])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """An unfinished sweep with a failure."""

    def invent(cell: Cell) -> dict[str, object] | str | None:
        if cell.model == "cae-fr2":
            return "the fit: has diverged"
        return None if cell.seed else plausible(cell)

    return write_sweep(tmp_path / "half", grid_cells("table2", range(3)), invent)


def test_a_real_sweep_becomes_a_report(invoke: Invoke, swept: Path, tmp_path: Path) -> None:
    result = invoke(swept, "--output", "report")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    first, last = result.stdout.splitlines()
    assert first.startswith("Does joint learning help? Reconstruction: cannot tell. Neural similarity: cannot tell.")
    assert last == "wrote report/report.html and what belongs to it"
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == FILES
    swept_rows = rows_of(swept / "results.csv")
    for table, metric in (("table2", "mse"), ("table4", "correlation_to_average"), ("table3", "ssim")):
        shown = [
            row for row in rows_of(tmp_path / "report" / f"{table}.csv") if row["metric"] == metric and row["mean"]
        ]
        assert shown
        for row in shown:
            same = [r for r in swept_rows if all(r[key] == row[key] for key in ("region", "model", "neurons"))]
            values = [float(r[metric]) for r in same if r[metric]]
            assert int(row["seeds"]) == len(values)
            assert float(row["mean"]) == pytest.approx(np.mean(values))
    text = (tmp_path / "report" / TEXT).read_text("utf-8")
    for name in ("Table 2", "Table 3", "Table 4", "Table 5", "Table 6", "Figure 2", "Figure 3", "Figure 4"):
        assert f"\n## {name}\n" in text
    assert (tmp_path / "report" / PICTURE).read_bytes().startswith(b"\x89PNG")


def test_the_same_results_give_the_same_files(invoke: Invoke, swept: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert invoke(swept, "--output", name).exit_code == 0
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_an_unfinished_sweep_says_what_is_missing(invoke: Invoke, half: Path, tmp_path: Path) -> None:
    assert invoke(half, "--output", "report").exit_code == 0
    rows = rows_of(tmp_path / "report" / "table2.csv")
    assert {(row["model"], row["seeds"], row["seeds_planned"], row["lacks"]) for row in rows} == {
        (model, "0" if model == "cae-fr2" else "1", "3", "3 failed" if model == "cae-fr2" else "2 to come")
        for model in ("cae", "cae-fr1", "cae-fr2", "cae-fr3", "cae-fr4")
    }
    assert {row["half_width_95"] for row in rows} == {""}
    text = (tmp_path / "report" / TEXT).read_text("utf-8")
    assert "The sweep is unfinished: 24 runs are to come." in text
    assert "9 runs failed, and are missing from the means." in text
    assert "Of 45 cells, 9 failed: see below." in text
    assert "| cae-fr2 on region1, seed 0 | the fit: has diverged |" in text
    assert "Nothing of this is in the sweep. The grid table3 has it." in text
    outcomes = {row["outcome"] for row in rows_of(tmp_path / "report" / "claims.csv")}
    assert outcomes == {"cannot tell"}


def test_results_without_any_run_are_a_report_too(invoke: Invoke, tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "r", grid_cells("table2", [0]), lambda cell: None)
    assert invoke(path, "--output", "report").exit_code == 0
    assert not (tmp_path / "report" / PICTURE).exists()
    assert "Without a row: CAE: unfinished" in (tmp_path / "report" / TEXT).read_text("utf-8")


def test_the_correlation_is_named_where_it_is_shown(invoke: Invoke, swept: Path, tmp_path: Path) -> None:
    assert sorted(CORRELATIONS) == sorted(CORRELATION_WITH)
    means = {}
    for name, metric in CORRELATIONS.items():
        assert invoke(swept, "--output", name, "--correlation", name).exit_code == 0
        text = (tmp_path / name / TEXT).read_text("utf-8")
        for table in ("Table 4", "Table 6"):
            caption = next(line for line in text.splitlines() if line.startswith(f"{table}. "))
            assert f"PCC: with {CORRELATION_WITH[name]}." in caption
        rows = rows_of(tmp_path / name / "table4.csv")
        assert {row["metric"] for row in rows} == {metric.key}
        means[name] = [row["mean"] for row in rows]
    assert means["average"] != means["single-trial"]


def test_other_settings_are_pointed_out(invoke: Invoke, half: Path, tmp_path: Path) -> None:
    content = json.loads((half / "results.json").read_text())
    content["runs"][0]["training"]["max_steps"] = 60
    (half / "results.json").write_text(json.dumps(content))
    assert invoke(half, "--output", "report").exit_code == 0
    expected = "`Not all fits had the same settings: max_steps is 60 or 20000. Differences may come from that.`"
    assert f"> {expected}" in (tmp_path / "report" / TEXT).read_text("utf-8")


def test_what_are_no_usable_results_is_one_line(invoke: Invoke, half: Path, tmp_path: Path) -> None:
    def edited(name: str, **changes: object) -> str:
        shutil.copytree(half, name)
        path = Path(name) / "results.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
        return name

    (tmp_path / "empty").mkdir()
    runs = json.loads((half / "results.json").read_text())["runs"]
    scored = next(run for run in runs if run["model"] == "cae-fr1" and run["status"] == "finished")
    mixed = [runs[0] | {"recording": "f" * 64}, *runs[1:]]
    for results, fragments in (
        ("absent", ("absent: does not exist", "give the --output of daenr-train sweep")),
        ("empty", ("empty: holds no results.json", "give the --output of daenr-train sweep")),
        (half / "results.csv", ("results.csv: is not a folder",)),
        (edited("later", schema_version=99), ("results.json: has schema version 99, this daenr reads 2",)),
        (edited("foreign", kind="groceries"), ("results.json: holds no results of daenr-train sweep",)),
        (edited("mixed", runs=mixed), ("mixes recordings of region1 (cae on region1, seed 0)", "in two folders")),
        (edited("cut", runs=[{}]), ("results.json: is not whole",)),
        (edited("odd", runs=[runs[0] | {"training": "hard"}]), ("runs.training is 'hard', expected an object",)),
        (
            edited("bare", runs=[scored | {"responses": {}}]),
            ("results.json: has no PCC of cae-fr1 on region1, seed 0",),
        ),
    ):
        assert_one_line(invoke(results, "--output", "report"), *fragments)
        assert not (tmp_path / "report").exists()


def test_a_damaged_run_is_named(invoke: Invoke, swept: Path, tmp_path: Path) -> None:
    for name, fragment in (
        ("scores.json", "scores.json: is damaged"),
        ("examples.npz", "examples.npz: is damaged"),
        ("timing.json", "timing.json: is damaged"),
    ):
        copy = shutil.copytree(swept, tmp_path / name.replace(".", "-"))
        for path in copy.rglob(name):
            path.write_bytes(b"PK cut")
        assert_one_line(invoke(copy, "--output", "report"), fragment)
        assert not (tmp_path / "report").exists()


def test_pictures_that_are_gone_or_of_another_shape_are_named(invoke: Invoke, swept: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(swept, tmp_path / "copy")
    for path in copy.rglob("examples.npz"):
        np.savez(path, images=np.zeros((3, 32)), reconstructions=np.zeros((3, 32)))
    assert_one_line(invoke(copy, "--output", "report"), "holds images of shape (3, 32)")
    for path in copy.rglob("examples.npz"):
        path.unlink()
    assert_one_line(invoke(copy, "--output", "report"), "examples.npz: does not exist")


def test_nothing_is_replaced_unasked(invoke: Invoke, half: Path, tmp_path: Path) -> None:
    assert invoke(half, "--output", "report").exit_code == 0
    before = (tmp_path / "report" / PAGE).read_bytes()
    (tmp_path / "report" / "table6.csv").unlink()
    assert_one_line(invoke(half, "--output", "report"), "report: exists already", "--force")
    assert invoke(half, "--output", "report", "--force").exit_code == 0
    assert (tmp_path / "report" / PAGE).read_bytes() == before
    assert (tmp_path / "report" / "table6.csv").exists()


def test_force_replaces_reports_only(invoke: Invoke, half: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    (tmp_path / "file").write_text("mine")
    for output, fragment in (
        ("thesis", "thesis: holds files that are not of a report (chapter.tex)"),
        (half, "half: holds files that are not of a report"),
        ("file", "file: is not a folder"),
        ("/dev/null/report", "cannot be written"),
    ):
        assert_one_line(invoke(half, "--output", output, "--force"), fragment)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"
    assert (half / "results.json").exists()


def test_the_paper_s_own_figures(invoke: Invoke, tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "r", grid_cells("table2", range(3)), plausible, **REAL)
    assert invoke(path, "--output", "report").exit_code == 0
    text = (tmp_path / "report" / TEXT).read_text("utf-8")
    assert "paper 23.829" in text
    assert "not the recordings of the paper" not in text
    assert [row["paper"] for row in rows_of(tmp_path / "report" / "table2.csv")][:3] == ["0.022", "23.709", "0.771"]


def test_help_tells_what_it_does(invoke: Invoke) -> None:
    text = invoke("--help").stdout
    assert "daenr-train sweep --grid smoke --output results && daenr-bench paper results --output report" in text
    assert "Exit codes: 0 written, whatever the claims come to" in text
