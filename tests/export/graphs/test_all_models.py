"""Every model of the paper, every graph, every kind of batch: what is exported is what PyTorch computes in float64."""

from __future__ import annotations

from functools import cache

import pytest
from model_factory import images, random_model

from daenr_common.extras import is_installed
from daenr_export.engines import build_engines
from daenr_export.golden import Golden
from daenr_export.graphs.make import Graph, make_graphs
from daenr_export.graphs.reference import make_golden
from daenr_export.options import Options
from daenr_export.parity import TOLERANCES
from daenr_export.runs import OnnxGraph, Run, Sampling, run_graph
from daenr_export.runtime.backends.onnxruntime import OnnxRuntimeBackend
from daenr_export.runtime.protocol import BatchRange, GraphSpec
from daenr_export.tensorrt import RTX
from daenr_train.models import DaeNr
from daenr_train.spec import model_names

FAMILIES = [f"{trunk}-{readout}" for trunk in ("cae", "vae", "vqvae") for readout in ("fr2", "fc3", "fm1")]
BASELINES = ["cae", "vae", "vqvae", "cnn-fr1", "cnn-fc4", "cnn-fm3"]
BATCH = BatchRange(1, 2, 64)


@cache
def model_of(name: str) -> DaeNr:
    return random_model(name, n_neurons=103)


@cache
def graphs_of(name: str) -> dict[str, Graph]:
    return make_graphs(model_of(name), half=True)


def runs_of(name: str, precision: str, sampling: Sampling) -> list[Run]:
    golden = Golden(make_golden(model_of(name), images(64)))
    runs = []
    for graph in graphs_of(name).values():
        spec = GraphSpec(graph.name, graph.input, graph.outputs, BATCH)
        content = graph.onnx if precision == "fp32" else graph.half
        onnx_graph = OnnxGraph(spec, content, precision)
        runs += run_graph(OnnxRuntimeBackend(), onnx_graph, golden, TOLERANCES.__getitem__, sampling)
    return runs


def worst(runs: list[Run], metric: str, pick=max) -> float:
    return pick(c.metrics[metric] for run in runs for c in run.comparisons if metric in c.metrics)


@pytest.mark.slow
@pytest.mark.parametrize("name", model_names())
def test_graphs_answer_as_pytorch(name):
    runs = runs_of(name, "fp32", Sampling())
    assert {(run.graph, run.batch) for run in runs} == {(graph, b) for graph in graphs_of(name) for b in (1, 2, 3, 64)}
    assert [run.check.reason for run in runs if run.verdict.exit_code] == []
    # Far below the tolerance, so that a graph that loses a digit is seen here before it is seen by a user.
    assert worst(runs, "max_error_over_scale") < 1.5e-5
    features = [c for run in runs for c in run.comparisons if c.output == "features"]
    assert max(c.metrics["max_error_over_scale"] for c in features) < 1e-6
    if "-" in name:
        assert worst(runs, "neurons_flat") == 0
        assert worst(runs, "correlation", min) > 0.9999999


@pytest.mark.slow
@pytest.mark.parametrize("name", model_names())
def test_typed_graphs_answer_as_pytorch(name):
    runs = runs_of(name, "fp16", Sampling(batches=(64,)))
    assert len(runs) == len(graphs_of(name))
    assert [run.check.reason for run in runs if run.verdict.exit_code] == []
    assert 1e-5 < worst(runs, "max_error_over_scale") < 1.5e-2


@pytest.mark.slow
@pytest.mark.skipif(not is_installed("tensorrt_rtx"), reason="tensorrt-rtx-cu12 is not installed")
@pytest.mark.parametrize("precision", ["fp32", "tf32", "fp16"])
@pytest.mark.parametrize("name", FAMILIES + BASELINES)
def test_engines_are_built_in_the_precision_asked_for(name, precision):
    built = build_engines(graphs_of(name).values(), RTX, Options(trt=True, precision=precision, batch=BATCH))
    assert [engine.entry.graph for engine in built] == list(graphs_of(name))
    assert {engine.entry.precision_actual for engine in built} == {precision}
    assert all(engine.content for engine in built)
    assert len({engine.entry.file for engine in built}) == len(built)
