"""Fixtures for the check-up on the doubles. Only what uses pycuda imports it: collecting this folder needs none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

_TESTS = Path(__file__).parents[3]
sys.path[:0] = [str(_TESTS / name) for name in ("doubles", "export/tensorrt", "export", "bench", "bench/gpu_check")]


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> str:
    """Let engines of both flavours be run by the doubles; the version of TensorRT that they are for."""
    import pycuda.driver
    import tensorrt_rtx
    from tensorrt_double import EnterpriseDouble, TensorRtDouble

    from daenr_common.verdict import Verdict
    from daenr_export.runtime.backends import cuda_memory
    from daenr_export.tensorrt import inspection
    from daenr_export.tensorrt.flavour import Flavour

    doubles = {"tensorrt": EnterpriseDouble(tensorrt_rtx), "tensorrt-rtx": TensorRtDouble(tensorrt_rtx)}

    def load(flavour: Flavour, purpose: str, *, running: bool = False) -> Any:
        return doubles[flavour.name]

    monkeypatch.setattr(Flavour, "load", load)

    def open_plan(*arguments: Any) -> Any:
        with cuda_memory.current(pycuda.driver):  # the real TensorRT does that by itself, through the CUDA runtime
            return real_open_plan(*arguments)

    real_open_plan = inspection.open_plan
    monkeypatch.setattr(inspection, "open_plan", open_plan)
    # What the double runs was not built by the builder, so that building it again must differ.
    monkeypatch.setattr(inspection, "reproduce", lambda *_: (Verdict.CANNOT_TELL, "a plan of the double"))
    return str(tensorrt_rtx.__version__)
