"""`daenr-bench run` from end to end, its exit codes, and bad input in one line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bench_checks import assert_one_line
from bench_factory import GRAPHS, FakeBackend
from click.testing import CliRunner, Result

import daenr_bench
from daenr_bench.cli import main

Invoke = Callable[..., Result]

BURST = ("--scenario", "burst")


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Invoke:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_bundle_is_measured_from_end_to_end(invoke: Invoke, shared_timed_bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    chosen = ["--scenario", "burst", "--scenario", "paced", "--scenario", "throughput"]
    result = invoke(
        "run", shared_timed_bundle, *chosen, "--samples", 700, "--rate", 2000, "--keep-warm", "--json", "results.json"
    )
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    for graph in GRAPHS:
        assert re.search(
            rf"^{graph} +onnxruntime +fp32 +ok, \de-\d\d +[\d.]+ +[\d.]+ +[\d.]+ +700 +1\.00$", result.stdout, re.M
        )
    for heading in ("paced (responses): ", "paced-warm (responses): ", "throughput (responses): "):
        assert f"\n{heading}" in result.stdout
    assert re.search(r"^onnxruntime .* \d+/700 .* at 2000 Hz$", result.stdout, re.M)
    assert "of which the harness itself in burst: p50 " in result.stdout
    assert "skipped tensorrt" in result.stdout
    assert result.stdout.endswith("tiny.daenr: pass\nwrote results.json and results.samples.npz\n")
    document = daenr_bench.Result.from_json((tmp_path / "results.json").read_text("utf-8"))
    assert document.verdict.value == "pass"
    assert document.machine.cores >= document.machine.usable_cores >= 1
    assert document.packages["numpy"]
    assert {"tensorrt", "tensorrt-rtx"} <= {skip.backend for skip in document.skipped} | {
        measurement.backend for measurement in document.measurements
    }
    assert {m.scenario for m in document.measurements} == {"burst", "paced", "paced-warm", "throughput"}
    for measurement in document.measurements:
        assert measurement.state == "pass", measurement.problems
        if measurement.scenario == "burst":
            assert measurement.latency is not None
            assert measurement.latency.percentiles["p99"].refused is None
    with np.load(tmp_path / "results.samples.npz", allow_pickle=False) as arrays:
        keys = [key for m in document.measurements for key in m.samples.values()]
        keys += [key for a in document.accuracy for key in a.by_neuron.values()]
        assert sorted(keys) == sorted(arrays.files)


def test_too_few_samples_are_said_to_be(invoke: Invoke, fake: Callable[..., FakeBackend], timed_bundle: Path) -> None:
    fake()
    result = invoke("run", timed_bundle, *BURST, "--samples", 30)
    assert result.exit_code == 0, result.output
    assert "note: refused: p99 (30 samples, at least 662 are needed)" in result.stdout


def test_a_wrong_answer_is_exit_code_1(invoke: Invoke, fake: Callable[..., FakeBackend], timed_bundle: Path) -> None:
    fake(spoil=lambda number, answer: answer + 1)
    result = invoke("run", timed_bundle, *BURST, "--graph", "responses")
    assert result.exit_code == 1
    assert re.search(r"^responses +fake +fp32 +WRONG +– +– +– +– +–$", result.stdout, re.M)
    assert "WRONG responses on fake: responses: error" in result.stdout
    assert result.stdout.endswith("tiny.daenr: fail\n")


def test_nothing_to_measure_is_exit_code_3(
    invoke: Invoke, fake: Callable[..., FakeBackend], timed_bundle: Path, tmp_path: Path
) -> None:
    fake(reason="fake: no driver")
    result = invoke("run", timed_bundle, "--json", "results.json")
    assert result.exit_code == 3
    assert "skipped fake: no driver\n" in result.stdout
    assert "tiny.daenr: cannot tell\n" in result.stdout
    assert json.loads((tmp_path / "results.json").read_text("utf-8"))["measurements"] == []


def test_ctrl_c_reports_what_was_measured(
    invoke: Invoke, fake: Callable[..., FakeBackend], timed_bundle: Path, tmp_path: Path
) -> None:
    backend = fake()

    def interrupted(number: int, _: int) -> int:
        if number == 700:
            raise KeyboardInterrupt
        return 1000

    backend._latency_ns = interrupted
    result = invoke("run", timed_bundle, *BURST, "--graph", "encoder", "--json", "results.json")
    assert result.exit_code == 130
    assert "tiny.daenr: pass (interrupted: not all was measured)" in result.stdout
    document = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert document["complete"] is False
    assert 0 < document["measurements"][0]["latency"]["n"] < 1000


def test_unknown_names_are_one_line(invoke: Invoke, timed_bundle: Path) -> None:
    assert_one_line(
        invoke("run", timed_bundle, "--backend", "opnvino"), "'opnvino': is not known", "did you mean openvino?"
    )
    assert_one_line(invoke("run", timed_bundle, "--graph", "joint"), "has no graph 'joint', only encoder, readout")
    assert_one_line(invoke("run", timed_bundle, "--samples", "0"), "--samples")
    assert_one_line(invoke("run"), "Missing argument 'BUNDLE'")
    assert_one_line(invoke("rnu", timed_bundle), "rnu")


def test_a_bundle_that_is_missing_or_was_edited_is_one_line(invoke: Invoke, timed_bundle: Path, tmp_path: Path) -> None:
    assert_one_line(invoke("run", tmp_path / "absent.daenr"), "absent.daenr: does not exist")
    graph = timed_bundle / "graphs" / "encoder.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"\0")
    assert_one_line(invoke("run", timed_bundle), "encoder.onnx: was changed: its sha256 is not the one")


def test_where_the_result_cannot_be_written_is_said_before_measuring(
    invoke: Invoke, fake: Callable[..., FakeBackend], timed_bundle: Path, tmp_path: Path
) -> None:
    backend = fake()
    assert_one_line(invoke("run", timed_bundle, "--json", tmp_path), "is a folder")
    assert_one_line(invoke("run", timed_bundle, "--json", "results.npz"), "results.npz: is where the raw samples go")
    (tmp_path / "file").touch()
    assert_one_line(invoke("run", timed_bundle, "--json", tmp_path / "file" / "results.json"), "cannot be written (")
    (tmp_path / "results.samples.npz").touch()
    assert_one_line(invoke("run", timed_bundle, "--json", "results.json"), "results.samples.npz: exists already")
    assert backend.calls == 0
    assert invoke("run", timed_bundle, *BURST, "--json", "results.json", "--force").exit_code == 0
    assert_one_line(invoke("run", timed_bundle, "--json", "results.json"), "exists already; choose another output")


def test_a_deadline_that_was_asked_for_decides_the_exit_code(
    invoke: Invoke, fake: Callable[..., FakeBackend], timed_bundle: Path
) -> None:
    """The fake takes no time by the system's clock; no machine answers within a nanosecond."""
    fake()
    paced = ["run", timed_bundle, "--graph", "encoder", "--scenario", "paced", "--samples", 20, "--rate", 1000]
    missed = invoke(*paced, "--deadline-ms", 0.000001)
    assert missed.exit_code == 1
    assert re.search(r"20/20 +4 .*fail at 1000 Hz$", missed.stdout, re.M)
    assert invoke(*paced).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["--duration", "soon"], "'soon' is no duration like 90s, 10m or 1h"),
        (["--duration", "-1s"], "'-1s' is not longer than nothing"),
        (["--rate", "0"], "--rate"),
        (["--deadline-ms", "0"], "--deadline-ms"),
        (["--scenario", "server"], "'server' is not one of 'burst', 'paced'"),
        (["--scenario", "soak", "--duration", "100h"], "360000 s at 100 Hz: are 36000000 frames, at most 10000000"),
    ],
)
def test_settings_that_cannot_be_are_one_line(
    invoke: Invoke, timed_bundle: Path, arguments: list[str], fragment: str
) -> None:
    assert_one_line(invoke("run", timed_bundle, *arguments), fragment)


def test_help_tells_examples_and_exit_codes_and_loads_no_engine() -> None:
    script = """
        import sys
        from click.testing import CliRunner
        from daenr_bench.cli import main
        for arguments in ([], ["--help"], ["run", "--help"], ["doctor", "--help"]):
            print(CliRunner().invoke(main, arguments).output)
        print(sorted(set(sys.modules) & {"torch", "onnx", "onnxruntime", "openvino", "tensorrt_rtx", "pycuda"}))
    """
    script = "\n".join(line.removeprefix("        ") for line in script.splitlines())
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env=os.environ)
    assert "daenr-bench run cae_fr2.daenr --checkpoint cae_fr2.pt --json results.json" in run.stdout
    assert "  1    an answer is wrong or breaks a margin, a backend died, or a deadline" in run.stdout
    assert run.stdout.splitlines()[-1] == "[]"


def test_the_public_surface() -> None:
    assert daenr_bench.__all__ == ["Plan", "Report", "Result", "benchmark"]
