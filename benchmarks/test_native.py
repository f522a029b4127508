"""Compiled C beside the fastest general runtimes at the same precision, one thread each, calls interleaved.

Machines that others share drift by more than the difference between two engines: here the engines take turns, a few
calls at a time, so that a slow moment hits all alike, and what is compared is the median. The figures under
pytest-benchmark are those of the native library.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from statistics import median

import numpy as np
import pytest

from daenr_export.graphs.make import Graph, make_graphs
from daenr_export.native import make_library, native_target
from daenr_export.runtime.backends.native import NativeBackend
from daenr_export.runtime.backends.onnxruntime import OnnxRuntimeBackend
from daenr_export.runtime.backends.openvino import OpenVinoBackend
from daenr_export.specs import BatchRange, GraphSpec
from daenr_train.models import make_model
from daenr_train.spec import parse_model_name

MODELS = ("cae-fr2", "vae-fr2", "vqvae-fr2")
NEURONS, LARGEST_BATCH = 103, 64
TURNS = 40
CALLS = {1: 50, 64: 2}
"""Calls of each turn, by batch size."""

AT_LEAST = {("responses", 1): 1.4, ("reconstruction", 1): 1.5, ("joint", 1): 1.5}
"""How many times faster than the fastest peer; a batch of 64 at least as fast."""


class OneGraph:
    """A graph that is in no bundle, with its library."""

    cache_folder = None

    def __init__(self, graph: Graph, library: bytes) -> None:
        self.spec = GraphSpec(graph.name, graph.input, graph.outputs, BatchRange(1, 1, LARGEST_BATCH))
        self.onnx = lambda: graph.onnx
        self.native = lambda _target: library


@pytest.fixture(scope="module", params=MODELS)
def graphs(request) -> dict[str, Graph]:
    return make_graphs(make_model(parse_model_name(request.param, n_neurons=NEURONS), 0).eval())


@pytest.mark.parametrize("batch", CALLS)
@pytest.mark.parametrize("name", ["responses", "reconstruction", "joint"])
def test_native_beside_its_peers(benchmark, graphs, name, batch, tmp_path):
    graph = graphs[name]
    images = np.random.default_rng(0).uniform(-1, 1, (batch, *graph.input.shape)).astype(np.float32)
    peers = [OnnxRuntimeBackend(threads=1), OpenVinoBackend(threads=1)]
    answers = OnnxRuntimeBackend().open(OneGraph(graph, b"")).run(images[:1])
    library = make_library(
        graph.onnx,
        graph_name=name,
        precision="fp32",
        target=native_target(),
        golden_input=images[:1],
        golden_outputs={output.name: answer for output, answer in zip(graph.outputs, answers, strict=True)},
        max_batch=LARGEST_BATCH,
        destination=tmp_path / "graph.so",
    )
    source = OneGraph(graph, library.path.read_bytes())
    with ExitStack() as stack:
        engines = {
            engine.name: stack.enter_context(engine.open(source)).bind(batch) for engine in (NativeBackend(), *peers)
        }
        for bound in engines.values():
            bound.input[:] = images
        times = take_turns(engines, CALLS[batch])
        benchmark.group = f"{name}, batch {batch}"
        benchmark.pedantic(engines["native"].run, rounds=TURNS * CALLS[batch], warmup_rounds=10)
    microseconds = {engine: median(values) / 1e3 for engine, values in times.items()}
    ratio = min(value for engine, value in microseconds.items() if engine != "native") / microseconds["native"]
    benchmark.extra_info |= microseconds | {"times faster than the fastest peer": ratio}
    print(f"{name}, batch {batch}: {ratio:.2f} times faster;", {k: round(v, 1) for k, v in microseconds.items()})
    assert ratio >= AT_LEAST.get((name, batch), 1.0), microseconds


def take_turns(engines, calls):
    """Nanoseconds of each call of each engine. The first turn is to warm up."""
    times = {name: [] for name in engines}
    for turn in range(1 + TURNS):
        for name, engine in engines.items():
            for _ in range(calls):
                start = time.perf_counter_ns()
                engine.run()
                if turn:
                    times[name].append(time.perf_counter_ns() - start)
    return times
