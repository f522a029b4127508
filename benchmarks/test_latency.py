"""Latency of every graph on every backend, beside its peers: the scenarios of `daenr-bench run` under pytest-benchmark.

The same calls (standing buffers, host to host), so that `pytest benchmarks --benchmark-compare-fail` works. Engines are
compared within a group, which is a graph in a scenario. For figures that drift hits alike, for percentiles with their
bounds and for what a rig feels there is `daenr-bench run`: here one benchmark runs after the other.
"""

from __future__ import annotations

import subprocess
from functools import partial
from itertools import cycle

import pytest
from bench_subject import CALLS, WARM_UP_CALLS

from daenr_bench.cells import BATCH
from daenr_bench.clocks import SYSTEM_CLOCK
from daenr_bench.peers.eager import EAGER
from daenr_bench.peers.pytorch import TorchPeer
from daenr_bench.peers.registry import PEERS, TORCH, make
from daenr_bench.run import RIG_GRAPH
from daenr_bench.scenarios.calling import Call
from daenr_bench.scenarios.cold import command_of
from daenr_bench.scenarios.pacing import AT_100_HZ
from daenr_export.graphs.names import CUTS
from daenr_export.runtime import registry
from daenr_train.fit.config import PROCESSORS

FRAMES = 300

BACKENDS = [status.name for status in registry.backends()]

each_entrant = pytest.mark.parametrize("name", [*BACKENDS, *PEERS])
each_cell = pytest.mark.parametrize(
    ("name", "graph"),
    [(name, graph) for name in (*BACKENDS, TORCH) for graph in CUTS]
    + [(name, RIG_GRAPH) for name in PEERS if name != TORCH],
)


@pytest.fixture
def entrant(name, subject):
    """A backend or a peer; skips where it cannot run, with the reason."""
    if name not in PEERS:
        status = next(status for status in registry.backends() if status.name == name)
        if not status.available:
            pytest.skip(status.reason)
        return registry.pick(name)
    if PEERS[name].runs_checkpoint and subject.checkpoint is None:
        pytest.skip("runs the checkpoint, and DAENR_CHECKPOINT is not set")
    return make(name, subject.checkpoint)


@each_cell
def test_burst(benchmark, open_cell, entrant, graph):
    time_cell(benchmark, open_cell(entrant, graph), f"{graph}, burst")


@pytest.mark.parametrize("threads", sorted({1, 2, PROCESSORS}))
def test_threads_of_pytorch(benchmark, open_cell, subject, threads):
    """Why PyTorch's peers run with one: on a graph this small others bring nothing."""
    if subject.checkpoint is None:
        pytest.skip("runs the checkpoint, and DAENR_CHECKPOINT is not set")
    cell = open_cell(TorchPeer(EAGER, subject.checkpoint, threads=threads), RIG_GRAPH)
    time_cell(benchmark, cell, f"{RIG_GRAPH}, PyTorch by threads")


@each_entrant
def test_paced(benchmark, open_cell, entrant):
    """Frames every 10 ms; the engine rests in between. Without the delay of waking, which `daenr-bench run` counts."""
    cell = open_cell(entrant, RIG_GRAPH)
    call, images = Call.of(cell.session.bind(BATCH)), cycle(cell.inputs)
    due_ns = SYSTEM_CLOCK.read()

    def wait():
        nonlocal due_ns
        due_ns += AT_100_HZ.period_ns
        SYSTEM_CLOCK.wait_until(due_ns)
        return (next(images),), {}

    benchmark.group = f"{RIG_GRAPH}, paced at 100 Hz"
    benchmark.pedantic(call.run, setup=wait, rounds=FRAMES, warmup_rounds=WARM_UP_CALLS)


@each_entrant
@pytest.mark.parametrize("batch", [1, 8, 64])
def test_throughput(benchmark, open_cell, entrant, batch):
    cell = open_cell(entrant, RIG_GRAPH)
    if batch > cell.session.spec.batch.max:
        pytest.skip(f"the graph takes batches of at most {cell.session.spec.batch.max}")
    bound = cell.session.bind(batch)
    bound.input[:] = cell.inputs[0]
    benchmark.group = f"{RIG_GRAPH}, batch {batch}"
    benchmark.pedantic(bound.run, rounds=CALLS // batch + 20, warmup_rounds=10)


@each_entrant
def test_cold(benchmark, open_cell, entrant, name, subject):
    """From the start of a new process to its end: a little more than to the first answer."""
    open_cell(entrant, RIG_GRAPH)  # right, and whatever is cached is cached
    command = command_of(subject.bundle, RIG_GRAPH, name, subject.checkpoint)
    benchmark.group = f"{RIG_GRAPH}, cold"
    run = partial(subprocess.run, command, check=True, stdout=subprocess.DEVNULL)
    benchmark.pedantic(run, rounds=3)


def time_cell(benchmark, cell, group):
    call, images = Call.of(cell.session.bind(BATCH)), cycle(cell.inputs)
    benchmark.group = group
    benchmark.pedantic(call.run, setup=lambda: ((next(images),), {}), rounds=CALLS, warmup_rounds=WARM_UP_CALLS)
