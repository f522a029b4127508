"""The real onnxruntime-gpu on a machine without a GPU, in an environment of its own: it is never a CPU in disguise."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daenr_export.tensorrt import why_no_gpu

if TYPE_CHECKING:
    from daenr_export.exporting.export import ExportReport

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(why_no_gpu() is None, reason="there is a GPU"),
    pytest.mark.skipif(sys.platform != "linux", reason="tried on Linux only"),
]

ROOT = Path(__file__).parents[3]
PACKAGES = ("onnxruntime-gpu", "numpy", "click", "tabulate", "tqdm")
GPU_BACKENDS = ("onnxruntime-cuda", "onnxruntime-tensorrt")
COMMAND = "from daenr_export.cli import main; main()"
FOOLED = """
import sys
import daenr_export.runtime.backends.onnxruntime_providers as providers
from daenr_export.bundle import Bundle
from daenr_export.runtime import registry
providers.why_no_gpu = lambda: None
"""


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of an environment with onnxruntime-gpu, made once and kept in the user's cache."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "daenr"
    folder = cache / f"onnxruntime-gpu-{pins['onnxruntime-gpu']}-numpy-{pins['numpy']}-{sys.implementation.cache_tag}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as work:
            _install(Path(work) / "venv", [f"{name}=={pins[name]}" for name in PACKAGES])
            _move(Path(work) / "venv", folder)
    return folder / "bin" / "python"


def _install(venv: Path, packages: list[str]) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin" / "python"), "install", "--quiet"]
    done = subprocess.run([*pip, "--retries", "1", *packages], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it gave no reason"]
        pytest.skip(f"onnxruntime-gpu cannot be installed: {lines[-1]}")


def _move(venv: Path, folder: Path) -> None:
    """The environment holds no path to itself that is used here. Another process may have been faster."""
    try:
        venv.rename(folder)
    except OSError:
        if not folder.exists():
            raise
        shutil.rmtree(venv)


def run(python: Path, script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {
        "PYTHONPATH": str(ROOT),
        "HOME": str(Path.home()),
        "OMP_NUM_THREADS": "1",
        "PATH": os.environ["PATH"],
    }
    command = [str(python), "-W", "error", "-c", script, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_environment_has_the_providers_and_no_other_onnxruntime(python: Path) -> None:
    script = "import json, onnxruntime; print(json.dumps(onnxruntime.get_available_providers()))"
    found = json.loads(run(python, script).stdout)
    assert {"CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"} <= set(found)


@pytest.mark.parametrize("backend", GPU_BACKENDS)
def test_asking_for_the_gpu_is_an_error_in_one_line(python: Path, shared_export: ExportReport, backend: str) -> None:
    done = run(python, COMMAND, "verify", shared_export.bundle, "--backend", backend)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"daenr-export: backend {backend}: cannot run here: {why_no_gpu()}; "
        "install the NVIDIA driver; or choose another backend\n"
    )


@pytest.mark.parametrize("backend", GPU_BACKENDS)
def test_libraries_that_are_absent_are_named_where_there_is_a_gpu(python: Path, backend: str) -> None:
    done = run(python, FOOLED + "print(registry.pick(sys.argv[1]))", backend)
    last = done.stderr.splitlines()[-1]
    assert done.stdout == ""
    assert f"backend {backend}: cannot run here: libonnxruntime_providers_" in last
    assert "cannot open shared object file" in last
    assert f"pip install 'daenr[{backend}]'" in last


@pytest.mark.parametrize("backend", GPU_BACKENDS)
def test_onnxruntime_itself_is_held_to_the_provider(python: Path, shared_export: ExportReport, backend: str) -> None:
    """With every check before it out of the way onnxruntime would answer on the CPU; the session is refused."""
    script = f"""{FOOLED}
providers._check_library = lambda *_: None
graph = Bundle.open(sys.argv[2]).graph("responses")
try:
    registry.pick(sys.argv[1]).open(graph)
except providers.BackendUnavailableError as error:
    print(error)
"""
    done = run(python, script, backend, shared_export.bundle)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{backend}: does not open the graph responses (")
    assert done.stdout.count("\n") == 1


def test_auto_takes_what_truly_runs(python: Path, shared_export: ExportReport) -> None:
    script = """
import json, sys
import numpy as np
import daenr_export
model = daenr_export.load(sys.argv[1])
error = np.abs(model.responses(model.golden["image"][:1]) - model.golden["responses.responses"][:1]).max()
print(json.dumps([model.backend, float(error), [status.name for status in model.skipped]]))
"""
    done = run(python, script, shared_export.bundle)
    assert done.returncode == 0, done.stderr
    backend, error, skipped = json.loads(done.stdout)
    assert backend == "onnxruntime"
    assert error < 1e-4
    assert {*GPU_BACKENDS, "onnxruntime-rtx"} <= set(skipped)
