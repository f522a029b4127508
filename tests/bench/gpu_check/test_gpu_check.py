"""`daenr-bench gpu-check`: what it says where there is no GPU, bad input, and the whole of it on the doubles."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import cuda_double
import pytest
from bench_checks import assert_one_line
from click.testing import CliRunner, Result

from daenr_bench import Plan
from daenr_bench.cli import main
from daenr_bench.gpu_check import gpu_check
from daenr_bench.peers.registry import PEERS
from daenr_bench.scenarios.burst import Burst
from daenr_common.verdict import Verdict
from daenr_export.tensorrt import why_no_gpu

HERE = Path(__file__).parent
ROOT = HERE.parents[2]

without_gpu = pytest.mark.skipif(why_no_gpu() is None, reason="there is a GPU")


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["gpu-check", *map(str, arguments)])


@without_gpu
def test_without_a_gpu_it_says_so_in_one_line_and_cannot_tell(tmp_path: Path, shared_timed_bundle: Path) -> None:
    for bundle in ([], [shared_timed_bundle]):
        result = invoke(*bundle, "--output", tmp_path / "gpu-check.tar.gz")
        assert result.exit_code == 3
        assert result.output == f"cannot tell: {why_no_gpu()}; run this on a machine with an NVIDIA GPU\n"
    assert list(tmp_path.iterdir()) == []


@without_gpu
@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_make_shows_the_line_and_the_exit_code(tmp_path: Path) -> None:
    """make has an exit code of its own for a recipe that fails: 2. What the recipe ended with is in its last line."""
    command = ["make", "--no-print-directory", "--directory", ROOT, "--assume-old", "install", "gpu-check"]
    done = subprocess.run(
        [*command, f"BIN={Path(sys.executable).parent}", f"GPU_CHECK={tmp_path / 'gpu-check.tar.gz'}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "cannot tell: no CUDA driver" in done.stdout
    assert "Error 3" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_bad_input_is_one_line_before_anything_is_tried(tmp_path: Path, shared_timed_bundle: Path) -> None:
    archive = tmp_path / "gpu-check.tar.gz"
    assert_one_line(invoke(tmp_path / "absent.daenr", "--output", archive), "absent.daenr: does not exist")
    assert_one_line(invoke(shared_timed_bundle), "Missing option '--output'")
    assert_one_line(invoke("--checkpoint", "cae_fr2.pt", "--output", archive), "--checkpoint belongs to BUNDLE")
    assert_one_line(invoke("--output", tmp_path), "is a folder")
    archive.touch()
    assert_one_line(invoke("--output", archive), "gpu-check.tar.gz: exists already")


@without_gpu
@pytest.mark.slow
def test_bundles_are_exported_where_none_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way with real engines, of which this machine can say nothing, and says so in each part."""
    for package in ("torch", "onnxscript", "tensorrt_rtx", "onnxruntime"):
        pytest.importorskip(package)
    monkeypatch.setattr("daenr_bench.entrants.PEERS", {"onnxruntime-default": PEERS["onnxruntime-default"]})
    output = tmp_path / "gpu-check.tar.gz"
    checkup = gpu_check(output, plan=Plan((Burst(samples=20),)))
    verdicts = {part.name: part.verdict for part in checkup.parts}
    assert verdicts["tensorrt-rtx/export"] == "pass"
    for part in ("doctor", "tensorrt-rtx/engines", "tensorrt-rtx/cuda-graphs", "tensorrt-rtx/latency", "tests"):
        assert verdicts[part] == "cannot tell"
    assert checkup.complete
    assert checkup.verdict is Verdict.CANNOT_TELL
    reasons = {part.name: part.reason for part in checkup.parts}
    assert "nothing ran on the GPU; " in reasons["tensorrt-rtx/engines"]
    assert "tensorrt-rtx: no CUDA driver" in reasons["tensorrt-rtx/engines"]
    with tarfile.open(output, "r:gz") as archive:
        names = set(archive.getnames())
    assert {f"gpu-check/tensorrt-rtx/{name}" for name in ("manifest.json", "results.json", "report.html")} <= names


def test_the_whole_on_the_doubles_of_cuda_and_tensorrt() -> None:
    """In a process of its own, where the double is found instead of a driver."""
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx-cu12 is not installed")
    pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")
    pytest.importorskip("onnxruntime")
    if reason := cuda_double.why_missing():
        pytest.skip(reason)
    checks = HERE / "on_double" / "gpu_check_checks.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(checks)]
    environment = {**cuda_double.environment(), "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert " skipped" not in done.stdout
