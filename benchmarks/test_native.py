"""Compiled C beside the fastest general runtimes at the same precision; shorter numbers beside float32.

One thread each, calls interleaved.

Machines that others share drift by more than the difference between two engines: here the engines take turns, a few
calls at a time, so that a slow moment hits all alike, and what is compared is the median. The figures under
pytest-benchmark are those of the native library.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from daenr_common.errors import BackendUnavailableError
from daenr_export.graphs.make import Graph, make_graphs
from daenr_export.native import make_library, native_target
from daenr_export.runtime.backends.native import NativeBackend
from daenr_export.runtime.backends.onnxruntime import OnnxRuntimeBackend
from daenr_export.runtime.backends.openvino import OpenVinoBackend
from daenr_export.runtime.backends.openvino import bf16 as openvino_bf16
from daenr_export.specs import BatchRange
from daenr_export.verification.runs import OnnxGraph
from daenr_train.models import make_model
from daenr_train.spec import parse_model_name

MODELS = ("cae-fr2", "vae-fr2", "vqvae-fr2")
NEURONS, BATCH = 103, BatchRange(1, 1, 64)
TURNS = 40
CALLS = {1: 50, 64: 2}
"""Calls of each turn, by batch size."""

AT_LEAST = {("responses", 1): 1.4, ("reconstruction", 1): 1.5, ("joint", 1): 1.5}
"""How many times faster than the fastest peer; a batch of 64 at least as fast."""


SHORTER = 1.5
"""How many times faster than float32, and than OpenVINO in bf16, the shorter numbers that answer fastest are."""


@pytest.fixture(scope="module", params=MODELS)
def graphs(request) -> dict[str, Graph]:
    return make_graphs(make_model(parse_model_name(request.param, n_neurons=NEURONS), 0).eval())


@pytest.mark.parametrize("batch", CALLS)
@pytest.mark.parametrize("name", ["responses", "reconstruction", "joint"])
def test_native_beside_its_peers(benchmark, graphs, name, batch, tmp_path):
    graph = graphs[name]
    images = np.random.default_rng(0).uniform(-1, 1, (batch, *graph.input.shape)).astype(np.float32)
    peers = [OnnxRuntimeBackend(threads=1), OpenVinoBackend(threads=1)]
    source = library_of(graph, "fp32", images[:1], tmp_path)
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


@pytest.mark.parametrize("name", ["responses", "reconstruction", "joint"])
def test_shorter_numbers_beside_float32_and_openvino(benchmark, graphs, name, tmp_path):
    """Speed alone: whether a model bears them is what its export finds out."""
    if native_target() != "x86_64-linux" or not bf16_works():
        pytest.skip("this processor has no tiles (Intel AMX)")
    graph = graphs[name]
    images = np.random.default_rng(0).uniform(-1, 1, (1, *graph.input.shape)).astype(np.float32)
    with ExitStack() as stack:
        engines = {}
        for precision in ("fp32", "bf16", "int8"):
            source = library_of(graph, precision, images, tmp_path)
            engines[precision] = stack.enter_context(NativeBackend().open(source)).bind(1)
        engines["openvino-bf16"] = stack.enter_context(openvino_bf16().open(source)).bind(1)
        for bound in engines.values():
            bound.input[:] = images
        times = take_turns(engines, CALLS[1])
        benchmark.group = f"{name}, shorter numbers"
        benchmark.pedantic(engines["int8"].run, rounds=TURNS * CALLS[1], warmup_rounds=10)
    microseconds = {engine: median(values) / 1e3 for engine, values in times.items()}
    fastest = min(microseconds["bf16"], microseconds["int8"])
    benchmark.extra_info |= microseconds
    print(f"{name}:", {engine: round(value, 1) for engine, value in microseconds.items()})
    assert microseconds["fp32"] >= SHORTER * fastest, microseconds
    assert microseconds["openvino-bf16"] >= SHORTER * fastest, microseconds


def bf16_works() -> bool:
    """Whether OpenVINO computes in bf16 here, which asks for the same processor as our tiles, or for less."""
    graph = make_graphs(make_model(parse_model_name("cnn-fr1", n_neurons=3), 0).eval())["encoder"]
    try:
        openvino_bf16().open(OnnxGraph(graph.spec(BATCH), graph.onnx, "fp32")).close()
    except BackendUnavailableError:
        return False
    return Path("/proc/cpuinfo").read_text(encoding="utf-8").find("amx_bf16") >= 0


def library_of(graph, precision, images, folder):
    """A graph with its library in a precision."""
    answers = OnnxRuntimeBackend().open(OnnxGraph(graph.spec(BATCH), graph.onnx, "fp32")).run(images)
    library = make_library(
        graph.onnx,
        graph_name=graph.name,
        precision=precision,
        target=native_target(),
        golden_input=images,
        golden_outputs={output.name: answer for output, answer in zip(graph.outputs, answers, strict=True)},
        max_batch=BATCH.max,
        destination=folder / f"{precision}.so",
    )
    return OnnxGraph(graph.spec(BATCH), graph.onnx, precision, library=library.path.read_bytes())


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
