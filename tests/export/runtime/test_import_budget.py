"""What `import daenr_export` offers, what it brings in, and how long a rig waits for the first answer."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import daenr_common.errors
import daenr_export
from daenr_export.tensorrt.gpu import why_no_gpu

HEAVY = ("torch", "onnx", "onnxruntime", "openvino", "tensorrt", "tensorrt_rtx", "pycuda", "daenr_train", "scipy")


def in_a_fresh_process(script: str, *arguments: str) -> Any:
    """What a script prints as JSON."""
    prelude = f"import json, sys, time\nheavy = lambda: sorted(set(sys.modules) & set({HEAVY!r}))\n"
    command = [sys.executable, "-c", prelude + textwrap.dedent(script), *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_the_public_surface() -> None:
    assert daenr_export.__all__ == [
        "Answer",
        "BackendUnavailableError",
        "Bundle",
        "BundleError",
        "CheckpointError",
        "ClosedLoop",
        "DaenrError",
        "ExportError",
        "Frame",
        "ImageError",
        "LogError",
        "MissingExtraError",
        "Model",
        "OutputExistsError",
        "RecordingError",
        "SpecError",
        "Status",
        "TransportError",
        "UnknownBackendError",
        "backends",
        "export",
        "load",
        "verify",
    ]
    assert set(daenr_export.__all__) <= set(dir(daenr_export))


def test_every_error_is_public() -> None:
    errors = {
        name for name, value in vars(daenr_common.errors).items() if inspect.isclass(value) and name.endswith("Error")
    }
    assert errors <= set(daenr_export.__all__)


def test_an_unknown_attribute_is_the_usual_error() -> None:
    with pytest.raises(AttributeError, match="module 'daenr_export' has no attribute 'laod'"):
        _ = daenr_export.laod


def test_lazy_functions_come_when_they_are_asked_for() -> None:
    kinds = in_a_fresh_process(
        """
        import daenr_export
        from daenr_export import export, verify
        print(json.dumps([type(daenr_export.export).__name__, verify.__module__]))
        """
    )
    assert kinds == ["function", "daenr_export.verification.verify"]


def test_importing_brings_in_nothing_heavy() -> None:
    assert in_a_fresh_process("import daenr_export; print(json.dumps(heavy()))") == []


@pytest.mark.alone
def test_the_first_answer_comes_within_half_a_second_of_the_backends_import(shared_tiny_bundle: Path) -> None:
    pytest.importorskip("onnxruntime")
    script = """
        import numpy
        import onnxruntime
        start = time.perf_counter()
        import daenr_export
        model = daenr_export.load(sys.argv[1], backend="onnxruntime")
        model.responses(numpy.zeros((1, 1, 32, 32), numpy.float32))
        print(json.dumps([time.perf_counter() - start, heavy()]))
    """
    runs = [in_a_fresh_process(script, str(shared_tiny_bundle)) for _ in range(2)]
    assert all(heavy == ["onnxruntime"] for _, heavy in runs)
    assert min(seconds for seconds, _ in runs) < 0.5


@pytest.mark.alone
def test_compiled_c_answers_milliseconds_after_numpy_is_there(shared_checkpoint: Path, tmp_path: Path) -> None:
    """Quietly 16 ms on a Xeon, 25 with `auto`; `benchmarks/test_cold_start.py` asks for 20 of whole processes."""
    pytest.importorskip("ziglang")
    bundle = daenr_export.export(shared_checkpoint, tmp_path / "cae_fr2.daenr", native=True).bundle
    script = """
        import numpy
        start = time.perf_counter()
        import daenr_export
        model = daenr_export.load(sys.argv[1], backend=sys.argv[2])
        model.responses(numpy.zeros((1, 1, 32, 32), numpy.float32))
        print(json.dumps([time.perf_counter() - start, heavy()]))
    """
    for backend, at_most_s in (("native", 0.04), *([("auto", 0.06)] if why_no_gpu() else [])):
        runs = [in_a_fresh_process(script, str(bundle), backend) for _ in range(10)]
        assert all(heavy == [] for _, heavy in runs), backend
        assert min(seconds for seconds, _ in runs) < at_most_s, backend
