"""Latency of every graph on every backend, beside its peer: the checkpoint run by PyTorch. Single images, in a burst.

The same call as in `daenr-bench run` (standing buffers, host to host), under pytest-benchmark, so that
`pytest benchmarks --benchmark-compare-fail` works. Backends are compared within a group, which is a graph. For figures
that drift hits alike, for percentiles with their bounds and for what a rig feels there is `daenr-bench run`: here one
benchmark runs after the other.
"""

from __future__ import annotations

from itertools import cycle

import pytest
from bench_subject import CALLS, WARM_UP_CALLS

from daenr_bench.cells import BATCH
from daenr_bench.clocks import SYSTEM_CLOCK
from daenr_bench.eager import EagerBackend
from daenr_bench.scenarios.calling import Call
from daenr_bench.scenarios.pacing import AT_100_HZ
from daenr_export.graphs.names import CUTS
from daenr_export.runtime import registry

FRAMES = 300
RIG_GRAPH = "responses"

each_backend = pytest.mark.parametrize("status", registry.backends(), ids=lambda status: status.name)
each_graph = pytest.mark.parametrize("graph", CUTS)


@each_graph
@each_backend
def test_burst(benchmark, open_cell, status, graph):
    time_cell(benchmark, open_cell(available(status), graph))


@each_graph
def test_burst_of_pytorch(benchmark, open_cell, subject, graph):
    if subject.checkpoint is None:
        pytest.skip("DAENR_CHECKPOINT is not set")
    time_cell(benchmark, open_cell(EagerBackend(subject.checkpoint), graph))


@each_backend
def test_paced(benchmark, open_cell, status):
    """Frames every 10 ms; the engine rests in between. Without the delay of waking, which `daenr-bench run` counts."""
    cell = open_cell(available(status), RIG_GRAPH)
    call, images = Call.of(cell.session.bind(BATCH)), cycle(cell.inputs)
    due_ns = SYSTEM_CLOCK.read()

    def wait():
        nonlocal due_ns
        due_ns += AT_100_HZ.period_ns
        SYSTEM_CLOCK.wait_until(due_ns)
        return (next(images),), {}

    benchmark.group = f"{RIG_GRAPH}, paced at 100 Hz"
    benchmark.pedantic(call.run, setup=wait, rounds=FRAMES, warmup_rounds=WARM_UP_CALLS)


@each_backend
@pytest.mark.parametrize("batch", [1, 8, 64])
def test_throughput(benchmark, open_cell, status, batch):
    cell = open_cell(available(status), RIG_GRAPH)
    if batch > cell.session.spec.batch.max:
        pytest.skip(f"the graph takes batches of at most {cell.session.spec.batch.max}")
    bound = cell.session.bind(batch)
    bound.input[:] = cell.inputs[0]
    benchmark.group = f"{RIG_GRAPH}, batch {batch}"
    benchmark.pedantic(bound.run, rounds=CALLS // batch + 20, warmup_rounds=10)


def available(status):
    if not status.available:
        pytest.skip(status.reason)
    return registry.pick(status.name)


def time_cell(benchmark, cell):
    call, images = Call.of(cell.session.bind(BATCH)), cycle(cell.inputs)
    benchmark.group = cell.graph
    benchmark.pedantic(call.run, setup=lambda: ((next(images),), {}), rounds=CALLS, warmup_rounds=WARM_UP_CALLS)
