"""What a sweep gets done: one process with one thread, one with two, and two with one each.

Each way fits the same models for the same number of steps. Processes are started, and have loaded everything,
before the clock runs; the ways take turns, so that a busy machine slows all alike.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daenr_train.data import Recording, simulate
from daenr_train.fit import TrainingConfig
from daenr_train.fit.config import PROCESSORS
from daenr_train.sweep.code_version import code_version
from daenr_train.sweep.grid import Cell
from daenr_train.sweep.job import Job, Outcome, Status
from daenr_train.sweep.local import LocalEngine
from daenr_train.sweep.plan import PlannedCell, RecordingFacts, plan_runs

WAYS = {"1 process × 1 thread": (1, 1), "1 process × 2 threads": (1, 2), "2 processes × 1 thread": (2, 1)}
MODEL, STEPS, BATCH = "cae-fr2", 20, 64
RUNS, TURNS = 2, 3
LARGEST_RUN_MIB = 1536

pytestmark = pytest.mark.skipif(PROCESSORS < 2, reason="compares one processor with two")


@pytest.fixture(scope="module")
def recording() -> Recording:
    return simulate(3, seed=0)


def jobs(recording: Recording, threads: int, folder: Path, model: str = MODEL) -> Iterator[Job]:
    for seed in range(RUNS):
        config = TrainingConfig(max_steps=STEPS, validate_every=STEPS, batch_size=BATCH, threads=threads, seed=seed)
        cell = PlannedCell(recording.region, model, "all", seed, config.to_json())
        facts = {recording.region: RecordingFacts.of(recording)}
        run = plan_runs([cell], facts, code_version())[Cell(recording.region, model, "all", seed)]
        yield Job(run, None, folder / "absent" / "fit.state")  # without states: they cost the disk's time, not ours


def execute_all(engine: LocalEngine, waiting: list[Job]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    under_way = 0
    while waiting or under_way:
        while waiting and under_way < engine.capacity:
            engine.submit(waiting.pop())
            under_way += 1
        ended = engine.wait(60)
        under_way -= len(ended)
        outcomes += ended
    assert {outcome.status for outcome in outcomes} == {Status.FINISHED}, outcomes
    return outcomes


def test_throughput(recording, tmp_path, capsys):
    engines = {
        name: LocalEngine({recording.fingerprint: recording}, processes, threads)
        for name, (processes, threads) in WAYS.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    peaks: dict[str, float] = {}
    try:
        for turn in range(TURNS + 1):
            for name, engine in engines.items():
                waiting = list(jobs(recording, WAYS[name][1], tmp_path))
                start = time.perf_counter()
                outcomes = execute_all(engine, waiting)
                if turn > 0:  # the first turn starts the processes
                    seconds[name].append(time.perf_counter() - start)
                peaks[name] = max(outcome.timing["peak_memory_mib"] for outcome in outcomes if outcome.timing)
    finally:
        for engine in engines.values():
            engine.close()
    base = seconds["1 process × 1 thread"]
    with capsys.disabled():
        print(f"\n{RUNS} fits of {MODEL}, {STEPS} steps each, batch {BATCH}; medians over {TURNS} turns")
        for name, taken in seconds.items():
            ratio = statistics.median(one / own for one, own in zip(base, taken, strict=True))
            steps = RUNS * STEPS / statistics.median(taken)
            print(f"{name}: {steps:.1f} steps/s, {ratio:.2f}× the first, at most {peaks[name]:.0f} MiB a run")
    assert max(peaks.values()) < LARGEST_RUN_MIB


@pytest.mark.parametrize("model", ["cae-fc1", "vqvae-fc1"])
def test_memory_of_the_largest_models(recording, tmp_path, capsys, model):
    """A dense readout of the first layer has the most weights: 8192 for each neuron."""
    engine = LocalEngine({recording.fingerprint: recording}, 1)
    try:
        job = replace(next(jobs(recording, 1, tmp_path, model)), keep_checkpoint=True)
        (outcome,) = execute_all(engine, [job])
    finally:
        engine.close()
    assert outcome.timing
    with capsys.disabled():
        print(f"\n{model}, {recording.n_neurons} neurons, batch {BATCH}: {outcome.timing['peak_memory_mib']:.0f} MiB")
    assert outcome.timing["peak_memory_mib"] < LARGEST_RUN_MIB
