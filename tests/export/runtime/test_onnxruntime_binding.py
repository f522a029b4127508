"""Tensors that stay on a device, as captured CUDA graphs need them: on the real onnxruntime, a CPU for the GPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bundle_factory as factory
import numpy as np
import pytest

from daenr_common.errors import DaenrError
from daenr_export.bundle import Bundle
from daenr_export.runtime.backends import onnxruntime_providers as providers
from daenr_export.runtime.backends.onnxruntime import OnnxRuntimeBackend
from daenr_export.runtime.protocol import GraphSource

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture
def graph(shared_tiny_bundle: Path) -> GraphSource:
    return Bundle.open(shared_tiny_bundle).graph("joint")


@pytest.fixture
def captures() -> OnnxRuntimeBackend:
    """A backend that takes the way of captured CUDA graphs, with the CPU for the GPU: it ignores `gpu_graph_id`.

    Its option is one of a session on a CPU, which onnxruntime accepts.
    """
    return OnnxRuntimeBackend(provider=replace(providers.CPU, cuda_graphs="arena_extend_strategy"), cuda_graphs=True)


@pytest.mark.parametrize("name", factory.GRAPHS)
def test_tensors_that_stay_on_a_device(captures: OnnxRuntimeBackend, shared_tiny_bundle: Path, name: str) -> None:
    graph = Bundle.open(shared_tiny_bundle).graph(name)
    with captures.open(graph) as session:
        bound = [session.bind(size) for size in (1, 3, 1)]
        for seed in range(3):
            rng = np.random.default_rng(seed)
            for size in (1, 2, 7, 1):
                batch = rng.uniform(-1, 1, (size, *graph.spec.input.shape)).astype(np.float32)
                check(session.run(batch), name, batch)
            for standing in bound:
                standing.input[:] = rng.uniform(-1, 1, standing.input.shape)
                standing.run()
                check(standing.outputs, name, standing.input)


def check(answers: tuple[np.ndarray, ...], name: str, batch: np.ndarray) -> None:
    for answer, expected in zip(answers, factory.reference(name, batch).values(), strict=True):
        np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)


def test_each_binding_is_captured_apart(
    captures: OnnxRuntimeBackend, graph: GraphSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []
    real = onnxruntime.RunOptions

    class Options(real):  # type: ignore[misc, valid-type]
        def add_run_config_entry(self, name: str, value: str) -> None:
            assert name == "gpu_graph_id"
            given.append(value)
            super().add_run_config_entry(name, value)

    monkeypatch.setattr(onnxruntime, "RunOptions", Options)
    with captures.open(graph) as session:
        session.bind(1)
        session.bind(1)
        for size in (1, 2, 1, 2):
            session.run(factory.some_images(size))
    assert given == ["1", "2", "3", "4"]


def test_a_batch_that_does_not_fit_is_not_copied(captures: OnnxRuntimeBackend, graph: GraphSource) -> None:
    with captures.open(graph) as session:
        answers = session.run(factory.some_images(1))
        for batch in (np.zeros((1, 1, 32, 32)), np.zeros((1, 2, 32, 32), np.float32)):
            with pytest.raises(DaenrError, match=r"could not answer a batch of float.*expected float32"):
                session.run(batch)
        answers[0][:] = 0  # it belongs to the caller
        check(session.run(factory.some_images(1)), "joint", factory.some_images(1))
