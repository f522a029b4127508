"""Every model of the paper, and the baselines that answer to images; every graph, every kind of batch.

What is exported is what PyTorch computes in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import native_graphs
import native_library
import numpy as np
import onnxruntime
import pytest
from model_factory import images, random_model

from daenr_common.extras import is_installed
from daenr_common.verdict import Verdict
from daenr_export.bundle.golden import Golden
from daenr_export.exporting.engines import build_engines
from daenr_export.exporting.options import Options
from daenr_export.graphs.make import Graph, make_graphs
from daenr_export.graphs.reference import make_golden
from daenr_export.runtime.backends.onnxruntime import OnnxRuntimeBackend
from daenr_export.specs import BatchRange, GraphSpec
from daenr_export.tensorrt import RTX
from daenr_export.verification.parity import TOLERANCES
from daenr_export.verification.runs import OnnxGraph, Run, Sampling, run_graph
from daenr_train.spec import model_names

pytestmark = pytest.mark.slow

FAMILIES = [f"{trunk}-{readout}" for trunk in ("cae", "vae", "vqvae") for readout in ("fr2", "fc3", "fm1")]
BASELINES = ["cae", "vae", "vqvae", "cnn-fr1", "cnn-fc4", "cnn-fm3"]
BATCH = BatchRange(1, 2, 64)


@dataclass
class Made:
    """A model with its graphs and what they must answer. Made once for all tests of the model."""

    name: str
    graphs: dict[str, Graph]
    golden: Golden

    def runs(self, precision: str, sampling: Sampling) -> list[Run]:
        runs = []
        for graph in self.graphs.values():
            spec = GraphSpec(graph.name, graph.input, graph.outputs, BATCH)
            onnx_graph = OnnxGraph(spec, graph.onnx if precision == "fp32" else graph.half, precision)
            runs += run_graph(OnnxRuntimeBackend(), onnx_graph, self.golden, TOLERANCES.__getitem__, sampling)
        return runs


@pytest.fixture(scope="module", params=[*model_names(), "klindt", "lnp"])
def made(request):
    model = random_model(request.param, n_neurons=103)
    return Made(request.param, make_graphs(model, half=True), Golden(make_golden(model, images(64))))


def worst(runs: list[Run], metric: str, pick=max) -> float:
    return pick(c.metrics[metric] for run in runs for c in run.comparisons if metric in c.metrics)


def test_graphs_answer_as_pytorch(made):
    runs = made.runs("fp32", Sampling())
    assert {(run.graph, run.batch) for run in runs} == {(graph, b) for graph in made.graphs for b in (1, 2, 3, 64)}
    assert [run.check.reason for run in runs if run.verdict is not Verdict.PASS] == []
    # Far below the tolerance, so that a graph that loses a digit is seen here before it is seen by a user.
    assert worst(runs, "max_error_over_scale") < 1.5e-5
    features = [c for run in runs for c in run.comparisons if c.output == "features"]
    assert max(c.metrics["max_error_over_scale"] for c in features) < 1e-6
    if "-" in made.name:
        assert worst(runs, "neurons_flat") == 0
        assert worst(runs, "correlation", min) > 0.999999


def test_typed_graphs_answer_as_pytorch(made):
    runs = made.runs("fp16", Sampling(batches=(64,)))
    assert len(runs) == len(made.graphs)
    assert [run.check.reason for run in runs if run.verdict is not Verdict.PASS] == []
    assert 1e-5 < worst(runs, "max_error_over_scale") < 1.5e-2


@pytest.mark.skipif(not is_installed("ziglang"), reason="ziglang is not installed")
def test_native_libraries_answer_as_pytorch_onnxruntime_and_the_reference(made, zig_cache, tmp_path):
    for graph in made.graphs.values():
        spec = GraphSpec(graph.name, graph.input, graph.outputs, BATCH)
        inputs, golden = made.golden.inputs(spec), made.golden.references(spec)
        path = native_library.compile_graph(graph.onnx, tmp_path, instruction_sets=native_library.best_here())
        loaded = native_library.Loaded(path)
        names = [output.name for output in graph.outputs]
        peer = onnxruntime.InferenceSession(graph.onnx, providers=["CPUExecutionProvider"])
        whole = loaded.run(inputs)
        native_library.assert_close(whole, [golden[name] for name in names], tolerance=1.5e-5)
        native_library.assert_close(whole, peer.run(None, {graph.input.name: inputs}), tolerance=2e-5)
        for count in (1, 2, 3):
            for part, all_at_once in zip(loaded.run(inputs[:count]), whole, strict=True):
                np.testing.assert_array_equal(part, all_at_once[:count])
        native_library.assert_close(loaded.run(inputs[:2]), native_graphs.reference(graph.onnx, inputs[:2]), 2e-5)


@pytest.mark.skipif(not is_installed("tensorrt_rtx"), reason="tensorrt-rtx-cu12 is not installed")
@pytest.mark.parametrize("precision", ["fp32", "tf32", "fp16"])
@pytest.mark.parametrize("made", FAMILIES + BASELINES, indirect=True)
def test_engines_are_built_in_the_precision_asked_for(made, precision):
    built = build_engines(made.graphs.values(), RTX, Options(trt=True, precision=precision, batch=BATCH))
    assert [engine.entry.graph for engine in built] == list(made.graphs)
    assert {engine.entry.precision_actual for engine in built} == {precision}
    assert all(engine.content for engine in built)
    assert len({engine.entry.file for engine in built}) == len(built)
