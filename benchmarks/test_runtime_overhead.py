"""What the runtime adds to an engine: `model.responses(image)`, which checks the image, against the bare session."""

from __future__ import annotations

from itertools import cycle

import pytest
from bench_subject import CALLS, WARM_UP_CALLS

from daenr_export import load
from daenr_export.runtime.backends.onnxruntime import OnnxRuntimeBackend
from daenr_export.runtime.backends.openvino import OpenVinoBackend

GRAPH = "responses"


@pytest.fixture(params=[OnnxRuntimeBackend, OpenVinoBackend], ids=["onnxruntime", "openvino"])
def cell(request, open_cell):
    return open_cell(request.param(), GRAPH)


@pytest.fixture
def images(cell):
    return cycle(cell.inputs)


@pytest.fixture(autouse=True)
def group(benchmark, cell):
    benchmark.group = f"runtime overhead on {cell.backend}"


def test_session_run(benchmark, cell, images):
    time_calls(benchmark, cell.session.run, images)


def test_model_responses(benchmark, cell, images, subject):
    with load(subject.bundle, backend=cell.backend) as model:
        model.warm_up([GRAPH])
        time_calls(benchmark, model.responses, images)


def time_calls(benchmark, run, images):
    benchmark.pedantic(run, setup=lambda: ((next(images),), {}), rounds=CALLS, warmup_rounds=WARM_UP_CALLS)
