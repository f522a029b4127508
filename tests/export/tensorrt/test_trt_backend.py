"""The backend where there is no GPU, over the doubles, and on a GPU where there is one."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import cuda_double
import numpy as np
import pytest
from bundle_factory import reference, some_images
from engine_factory import GraphWithEngine, built, spec_of

from daenr_common.errors import BackendUnavailableError, MissingExtraError
from daenr_export.runtime.backends import tensorrt as backend_module
from daenr_export.runtime.backends.tensorrt import TensorRtBackend, TensorRtRtxBackend
from daenr_export.runtime.protocol import Backend
from daenr_export.tensorrt import Flavour, why_no_gpu
from daenr_export.tensorrt.messages import collecting_logger
from daenr_export.tensorrt.plan import PlanRefusedError, open_plan

ON_DOUBLE = sorted((Path(__file__).parent / "on_double").glob("*_checks.py"))


@pytest.mark.parametrize("checks", ON_DOUBLE, ids=lambda path: path.stem)
def test_sessions_over_the_doubles_of_cuda_and_tensorrt(checks: Path) -> None:
    """In a process of its own, where the double is found instead of a driver."""
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx-cu12 is not installed")
    if checks.stem == "capture_checks":
        pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")
    if reason := cuda_double.why_missing():
        pytest.skip(reason)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(checks)]
    environment = {**cuda_double.environment(), "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert " skipped" not in done.stdout
    assert "PyCUDA WARNING" not in done.stderr


@pytest.mark.parametrize("backend", [TensorRtBackend(), TensorRtRtxBackend()])
def test_without_a_gpu_it_says_so_and_does_not_open(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "why_no_gpu", lambda: "no CUDA driver (libcuda.so.1) on this machine")

    assert "no CUDA driver (libcuda.so.1)" in backend.why_unavailable()
    with pytest.raises(BackendUnavailableError, match=f"{backend.name}: no CUDA driver"):
        backend.open(GraphWithEngine(spec_of("joint"), b""))


@pytest.mark.parametrize(
    ("backend", "package", "extra"),
    [(TensorRtBackend(), "tensorrt", "gpu"), (TensorRtRtxBackend(), "tensorrt_rtx", "rtx-run")],
)
def test_a_package_that_is_missing(backend: Backend, package: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "why_no_gpu", lambda: None)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(backend_module, "require", lambda module, **_: module)  # pycuda does not import without a GPU

    assert backend.why_unavailable() == f"{package} is not installed; pip install 'daenr[{extra}]'"
    with pytest.raises(MissingExtraError, match=package):
        backend.open(GraphWithEngine(spec_of("joint"), b""))


@pytest.mark.parametrize(("backend", "extra"), [(TensorRtBackend, "gpu"), (TensorRtRtxBackend, "rtx-run")])
def test_pycuda_that_is_missing(backend: type, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "why_no_gpu", lambda: None)
    monkeypatch.setitem(sys.modules, "pycuda", None)

    def loaded(flavour: Flavour) -> object:
        return flavour

    assert backend(load=loaded).why_unavailable() == f"pycuda is not installed; pip install 'daenr[{extra}]'"


def test_all_that_is_missing_is_named_at_once_and_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "why_no_gpu", lambda: "no CUDA driver (libcuda.so.1) on this machine")
    for package in ("tensorrt", "pycuda", "cuda"):
        monkeypatch.setitem(sys.modules, package, None)

    assert TensorRtBackend(cuda_graphs=True).why_unavailable() == (
        "no CUDA driver (libcuda.so.1) on this machine, tensorrt is not installed, pycuda is not installed, "
        "cuda-bindings is not installed; install the NVIDIA driver and pip install 'daenr[gpu]'"
    )


@pytest.mark.skipif(why_no_gpu() is None, reason="there is a GPU")
def test_a_real_plan_without_a_gpu_is_refused_by_tensorrt_itself() -> None:
    trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx-cu12 is not installed")

    with pytest.raises(PlanRefusedError, match=r"is refused by TensorRT .*cudaError 35") as caught:
        open_plan(trt, collecting_logger(trt), built("joint").plan, spec_of("joint"))
    assert caught.value.diagnostics == ()


@pytest.mark.gpu
@pytest.mark.skipif(why_no_gpu() is not None, reason=str(why_no_gpu()))
@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_answers_of_a_gpu(cuda_graphs: bool, tmp_path: Path) -> None:
    backend = TensorRtRtxBackend(cuda_graphs=cuda_graphs, runtime_cache=tmp_path)
    if reason := backend.why_unavailable():
        pytest.skip(reason)
    try:
        session = backend.open(GraphWithEngine(spec_of("joint"), built("joint").plan))
    except PlanRefusedError as error:
        pytest.skip(str(error))
    with session:
        for size in (1, 2, 8, 1):
            batch = some_images(size, seed=size)
            for answer, expected in zip(session.run(batch), reference("joint", batch).values(), strict=True):
                np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)
        timed = session.bind_timed(1)
        start_ns = time.perf_counter_ns()
        timed.bound.run()
        assert 0 < timed.device_ns() < time.perf_counter_ns() - start_ns
