"""Fixtures for the checks on the doubles. Only what uses pycuda imports it: collecting this folder needs none."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tensorrt_double import TensorRtDouble

    from daenr_export.runtime.backends.tensorrt_session import EngineSession


@pytest.fixture
def trt() -> TensorRtDouble:
    import tensorrt_rtx
    from tensorrt_double import TensorRtDouble

    return TensorRtDouble(tensorrt_rtx)


@pytest.fixture(autouse=True)
def nothing_is_left(trt: TensorRtDouble) -> Iterator[None]:
    """Whatever a test does, afterwards the device is as it was."""
    from cuda_double import NOTHING

    assert trt.driver.alive() == NOTHING
    yield
    trt.driver.run_out_of_memory(-1)
    gc.collect()
    assert trt.driver.alive() == NOTHING
    assert not trt.alive


@pytest.fixture
def open_graph(trt: TensorRtDouble) -> Iterator[Callable[..., EngineSession]]:
    """Opens a graph of the small bundle on the doubles; what is open at the end is closed."""
    from bundle_factory import onnx_graph
    from engine_factory import GraphWithEngine, spec_of
    from tensorrt_double import make_plan

    from daenr_export.runtime.backends.tensorrt import TensorRtRtxBackend

    sessions = []

    def open_it(
        name: str = "joint", pixels: str = "float32", flavour: type = TensorRtRtxBackend, **options: object
    ) -> EngineSession:
        graph = GraphWithEngine(spec_of(name, pixels), make_plan(onnx_graph(name, pixels), version=trt.__version__))
        sessions.append(flavour(load=lambda _: trt, **options).open(graph))
        return sessions[-1]

    yield open_it
    for session in sessions:
        session.close()
