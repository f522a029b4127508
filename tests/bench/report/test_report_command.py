"""`daenr-bench report` from end to end: its outputs, its samples, its bundle, and bad input in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import report_factory as factory
from bench_checks import assert_one_line
from bench_factory import make_timed_bundle
from click.testing import CliRunner, Result
from report_factory import burst, paced, result_of, written

from daenr_bench.cli import main
from daenr_bench.report.golden import GoldenCheck, check_golden
from daenr_bench.report.source import read_source
from daenr_common.errors import BundleError
from daenr_export.bundle import Bundle
from daenr_export.runtime import registry

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Invoke:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, ["report", *map(str, arguments)])


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return written(result_of([burst(), paced()]), tmp_path)


def test_a_page_and_markdown(invoke: Invoke, results: Path, tmp_path: Path) -> None:
    result = invoke(results, "--html", "out/report.html", "--markdown", "report.md")
    assert result.exit_code == 0, result.output
    assert result.stdout == "wrote out/report.html\nwrote report.md\n"
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert page.lstrip().startswith("<!DOCTYPE html>")
    assert page.rstrip().endswith("</html>")
    assert invoke(results).stdout == (tmp_path / "report.md").read_text("utf-8")


def test_the_same_result_gives_the_same_page(invoke: Invoke, results: Path, tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        assert invoke(results, "--html", name).exit_code == 0
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_nothing_is_replaced_unasked(invoke: Invoke, results: Path, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("mine")
    assert_one_line(invoke(results, "--html", "report.html"), "report.html: exists already", "--force")
    assert (tmp_path / "report.html").read_text() == "mine"
    assert invoke(results, "--html", "report.html", "--force").exit_code == 0
    assert_one_line(invoke(results, "--html", results, "--force"), "is the result itself")
    assert_one_line(invoke(results, "--html", "x", "--markdown", "x"), "is named twice")
    assert_one_line(invoke(results, "--html", tmp_path), "is a folder")


def test_unusable_results_are_one_line(invoke: Invoke, results: Path, tmp_path: Path) -> None:
    assert_one_line(invoke("absent.json"), "absent.json: does not exist")
    assert_one_line(invoke(tmp_path), "cannot be read")
    text = results.read_text("utf-8")
    for name, content, fragment in (
        ("cut.json", text[: len(text) // 2], "cut.json"),
        ("foreign.json", '{"a": 1}', "schema_version"),
        ("list.json", "[1]", "is not an object"),
        ("later.json", json.dumps(json.loads(text) | {"schema_version": 99}), "is 99, this daenr reads 1, 2"),
    ):
        (tmp_path / name).write_text(content, "utf-8")
        assert_one_line(invoke(name, "--html", "report.html"), fragment, "daenr-bench run")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    assert_one_line(invoke("binary.json"), "it is not text")
    assert not (tmp_path / "report.html").exists()


def test_samples_that_are_not_the_results_own_are_not_used(results: Path, tmp_path: Path) -> None:
    samples = tmp_path / "results.samples.npz"
    assert len(read_source(results).samples) == 4 + len(factory.BY_NEURON)
    content = samples.read_bytes()
    samples.write_bytes(content[:-1] + b"x")
    source = read_source(results)
    assert not source.samples
    assert source.no_samples is not None
    assert "its sha256 differs" in source.no_samples
    samples.unlink()
    assert "is not beside the result" in (read_source(results).no_samples or "")


def test_samples_are_taken_from_beside_the_result_only(results: Path, tmp_path: Path) -> None:
    document = json.loads(results.read_text("utf-8"))
    (tmp_path / "deeper").mkdir()
    inner = tmp_path / "deeper" / "results.json"
    document["samples"]["file"] = "../results.samples.npz"
    inner.write_text(json.dumps(document), "utf-8")
    source = read_source(inner)
    assert not source.samples
    assert "which is not beside the result" in (source.no_samples or "")


def test_arrays_of_another_kind_are_left_out(tmp_path: Path) -> None:
    made, arrays = paced()
    odd = {key: array.astype(np.float64) if "end" in key else array for key, array in arrays.items()}
    path = written(result_of([(made, odd)]), tmp_path)
    source = read_source(path)
    assert source.frames(source.result.measurements[0]) is None
    assert CliRunner().invoke(main, ["report", str(path), "--html", str(tmp_path / "r.html")]).exit_code == 0


def of_bundle(bundle: Path, tmp_path: Path) -> Path:
    report = result_of([burst(), paced()])
    manifest = Bundle.open(bundle).manifest
    result = replace(report.result, bundle=replace(report.result.bundle, manifest_sha256=manifest.sha256))
    return written(replace(report, result=result), tmp_path)


def test_the_bundle_reconstructs_its_golden_images(invoke: Invoke, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    bundle = make_timed_bundle(tmp_path / "joint.daenr", graphs=["encoder", "decoder", "reconstruction"])
    results = of_bundle(bundle, tmp_path)
    assert invoke(results, "--html", "report.html", "--bundle", bundle).exit_code == 0
    assert "reconstruction by onnxruntime of image 8" in (tmp_path / "report.html").read_text("utf-8")
    check = check_golden(bundle, read_source(results).result)
    assert check.backend == "onnxruntime"
    assert check.pictures is not None
    assert check.pictures.answer is not None
    assert np.abs(check.pictures.answer - check.pictures.golden).max() < 1e-5
    assert np.abs(check.pictures.original - check.pictures.golden).max() > 0.1


def test_without_a_decoder_there_is_nothing_to_reconstruct(shared_timed_bundle: Path, tmp_path: Path) -> None:
    results = of_bundle(shared_timed_bundle, tmp_path)
    assert check_golden(shared_timed_bundle, read_source(results).result) == GoldenCheck(None, None, None)


def test_another_bundle_or_an_edited_one_is_one_line(
    invoke: Invoke, results: Path, timed_bundle: Path, tmp_path: Path
) -> None:
    assert_one_line(invoke(results, "--bundle", timed_bundle), "is not the bundle that was measured, cae_fr2.daenr")
    graph = timed_bundle / "graphs" / "encoder.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"\0")
    assert_one_line(invoke(results, "--bundle", timed_bundle), "encoder.onnx: was changed")
    assert_one_line(invoke(results, "--bundle", tmp_path / "absent.daenr"), "absent.daenr: does not exist")
    with pytest.raises(BundleError):
        check_golden(timed_bundle, factory.everything().result)


def test_where_no_engine_runs_the_page_says_so(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = make_timed_bundle(tmp_path / "joint.daenr", graphs=["encoder", "decoder", "reconstruction"])
    results = of_bundle(bundle, tmp_path)
    monkeypatch.setattr(registry, "backends", lambda: ())
    monkeypatch.setattr(registry, "AUTO_ORDER", ())
    assert invoke(results, "--html", "report.html", "--bundle", bundle).exit_code == 0
    assert "none can answer on this machine" in (tmp_path / "report.html").read_text("utf-8")


def test_help_tells_what_it_does_and_loads_nothing(invoke: Invoke) -> None:
    text = invoke("--help").stdout
    assert "daenr-bench report results.json --html report.html --bundle cae_fr2.daenr" in text
    assert "Exit codes: 0 written, whatever the verdict" in text
