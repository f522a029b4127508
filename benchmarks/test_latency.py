"""Latency of every graph on every backend, beside its peer: the checkpoint run by PyTorch. Single images, back to back.

Backends are compared within a group, which is a graph. For figures that drift hits alike, and for percentiles with
their bounds, there is `daenr-bench run`: here one benchmark runs after the other.
"""

from __future__ import annotations

from itertools import cycle

import pytest
from bench_subject import CALLS, WARM_UP_CALLS

from daenr_bench.eager import EagerBackend
from daenr_export.graphs.names import CUTS
from daenr_export.runtime import registry


@pytest.mark.parametrize("graph", CUTS)
@pytest.mark.parametrize("status", registry.backends(), ids=lambda status: status.name)
def test_latency(benchmark, open_cell, status, graph):
    if not status.available:
        pytest.skip(status.reason)
    time_cell(benchmark, open_cell(registry.pick(status.name), graph))


@pytest.mark.parametrize("graph", CUTS)
def test_latency_of_pytorch(benchmark, open_cell, subject, graph):
    if subject.checkpoint is None:
        pytest.skip("DAENR_CHECKPOINT is not set")
    time_cell(benchmark, open_cell(EagerBackend(subject.checkpoint), graph))


def time_cell(benchmark, cell):
    batches = cycle(cell.inputs)
    benchmark.group = cell.graph
    benchmark.pedantic(
        cell.session.run, setup=lambda: ((next(batches),), {}), rounds=CALLS, warmup_rounds=WARM_UP_CALLS
    )
