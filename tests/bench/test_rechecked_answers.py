"""In every scenario timed answers are compared and inputs rotate: an engine that turns wrong, or caches, fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from bench_factory import COMPARED, FakeBackend, FakeClock

from daenr_bench.cells import Cell
from daenr_bench.clocks import SYSTEM_CLOCK, Clock
from daenr_bench.measurement import Measurement
from daenr_bench.scenarios import cold as cold_module
from daenr_bench.scenarios.burst import Burst
from daenr_bench.scenarios.cold import Cold
from daenr_bench.scenarios.loadgen import Offline, SingleStream
from daenr_bench.scenarios.paced import Paced, PacedWarm
from daenr_bench.scenarios.pacing import Pace
from daenr_bench.scenarios.soak import Soak
from daenr_bench.scenarios.throughput import Throughput, rows_of_batches
from daenr_bench.scenarios.tracks import Bench, Outcome, Scenario, calls_to_keep, calls_to_keep_without_end
from daenr_export.bundle import Bundle
from daenr_export.runtime import registry
from daenr_export.specs import Array

Measure = Callable[..., Outcome]
Spoil = Callable[[int, Array], Array]

ON_FAKE_CLOCK: dict[str, Scenario] = {
    "burst": Burst(samples=400),
    "paced": Paced(samples=400),
    "throughput": Throughput(rounds=4, block_ns=2_000_000),
    "soak": Soak(Pace(10.0), duration_s=40),
}
ON_REAL_CLOCK: dict[str, Scenario] = {
    "paced-warm": PacedWarm(Pace(2000.0), samples=60),
    "loadgen-single-stream": SingleStream(300, 30),
    "loadgen-offline": Offline(300, 30),
}
SCENARIOS = ON_FAKE_CLOCK | ON_REAL_CLOCK


def engine(bundle: Path, name: str, spoil: Spoil) -> tuple[Scenario, Clock, FakeBackend]:
    if name.startswith("loadgen"):
        pytest.importorskip("mlperf_loadgen", reason="mlcommons-loadgen is not installed")
    clock = FakeClock()
    backend = FakeBackend(bundle, clock, spoil=spoil)
    return SCENARIOS[name], clock if name in ON_FAKE_CLOCK else SYSTEM_CLOCK, backend  # type: ignore[return-value]


def only(outcome: Outcome) -> Measurement:
    (measurement,) = outcome.measurements
    return measurement


def calls_of(measure: Measure, bundle: Path, name: str) -> int:
    """How many calls a scenario makes in all on an engine that is right."""
    scenario, clock, backend = engine(bundle, name, lambda number, answer: answer)
    measurement = only(measure(scenario, clock, backend))
    assert measurement.state == "pass", measurement.problems
    assert measurement.timed_answers_compared >= 16
    return backend.calls


@pytest.mark.parametrize("name", SCENARIOS)
def test_an_engine_that_answers_from_memory_fails(measure: Measure, shared_timed_bundle: Path, name: str) -> None:
    """Right as long as it is compared and warmed up; then it gives the answer to the first image to all."""
    memory: dict[int, Array] = {}

    def cached(number: int, answer: Array) -> Array:
        first = memory.setdefault(len(answer), answer)
        return answer if number < COMPARED else first

    scenario, clock, backend = engine(shared_timed_bundle, name, cached)
    measurement = only(measure(scenario, clock, backend))
    assert measurement.state == "fail"
    assert "in timed calls: responses: error" in measurement.problems[0]
    assert measurement.latency is measurement.throughput is measurement.loadgen is None


@pytest.mark.parametrize("name", [name for name in ON_FAKE_CLOCK if name != "burst"])
def test_an_engine_that_turns_wrong_late_fails(measure: Measure, shared_timed_bundle: Path, name: str) -> None:
    """In the last eighth of all calls it answers zeros."""
    last = calls_of(measure, shared_timed_bundle, name) * 7 // 8
    scenario, clock, backend = engine(
        shared_timed_bundle, name, lambda number, answer: answer * 0 if number >= last else answer
    )
    assert only(measure(scenario, clock, backend)).state == "fail"


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_input_is_the_one_before(
    measure: Measure, shared_timed_bundle: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[int, list[bytes]] = {}
    scenario, clock, backend = engine(shared_timed_bundle, name, lambda number, answer: answer)
    opening = backend.open

    def noting(graph: object) -> object:
        session = opening(graph)  # type: ignore[arg-type]
        answer = session._answer

        def noted(batch: Array) -> tuple[Array, ...]:
            if backend.calls >= COMPARED:
                asked.setdefault(len(batch), []).append(batch.tobytes())
            return answer(batch)

        session._answer = noted
        return session

    monkeypatch.setattr(backend, "open", noting)
    assert only(measure(scenario, clock, backend)).state == "pass"
    assert asked
    for inputs in asked.values():
        repeats = sum(one == other for one, other in pairwise(inputs))
        assert len(set(inputs)) >= 2
        if name in ON_FAKE_CLOCK:
            # The warm-up, a lead-in and each round begin with an input of their own.
            assert repeats <= 0.02 * len(inputs) + 4
        else:
            # An engine that is kept warm runs on the last image while it waits; LoadGen draws images at random.
            assert len(inputs) - repeats >= 50


@pytest.fixture
def cold_cells(opened: Callable[..., list[Cell]]) -> list[Cell]:
    pytest.importorskip("onnxruntime")
    return opened(registry.pick("onnxruntime"))


def start(cells: Sequence[Cell], bundle: Path, repeats: int, seed: int = 0) -> Measurement:
    return only(Cold(repeats=repeats).measure(cells, Bench(Bundle.open(bundle), SYSTEM_CLOCK, seed)))


def test_each_cold_start_is_asked_another_image(cold_cells: list[Cell], shared_timed_bundle: Path) -> None:
    measurement = start(cold_cells, shared_timed_bundle, 2)
    assert (measurement.state, measurement.timed_answers_compared) == ("pass", 2)


def test_a_cold_start_that_answers_what_an_earlier_one_left_fails(
    cold_cells: list[Cell], shared_timed_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that keeps its first answer in a file, right for the image that it was computed for."""
    answers = [[row.ravel().tolist()] for row in cold_cells[0].answers["responses"]]
    script = tmp_path / "caching.py"
    script.write_text(
        "import json, pathlib, sys, time\n"
        f"answers = {json.dumps(answers)}\n"
        f"left = pathlib.Path({str(tmp_path / 'left')!r})\n"
        "if not left.exists(): left.write_text(sys.argv[4])\n"
        "names = ('started', 'imported', 'opened', 'asked', 'answered')\n"
        "now = {name: time.perf_counter_ns() for name in names}\n"
        "print(json.dumps(now | {'answers': answers[int(left.read_text())]}))\n"
    )
    monkeypatch.setattr(cold_module.cold_process, "__file__", str(script))
    assert start(cold_cells, shared_timed_bundle, 1).state == "pass"
    failed = start(cold_cells, shared_timed_bundle, 3)
    assert failed.state == "fail"
    assert "in timed calls: responses: error" in failed.problems[0]


@pytest.mark.parametrize(("n", "size"), [(50, 1), (50, 3), (50, 32), (50, 50), (50, 64), (64, 64), (64, 256), (2, 5)])
def test_batches_rotate_and_cover_all_inputs(n: int, size: int) -> None:
    rows = rows_of_batches(n, size)
    assert {len(each) for each in rows} == {size}
    assert set(np.concatenate(rows).tolist()) == set(range(n))
    turned = [*rows, rows[0]]
    assert all(one.tolist() != other.tolist() for one, other in pairwise(turned))


def test_one_input_cannot_rotate() -> None:
    assert [each.tolist() for each in rows_of_batches(1, 2)] == [[0, 0]]


def test_of_a_long_run_every_block_is_looked_at() -> None:
    keep = calls_to_keep(10_050, [0, 1], 100)
    assert all(any(first <= number < first + 100 for number in keep) for first in range(0, 10_050, 100))
    assert max(keep) < 10_050
    assert 101 <= len(keep) <= 101 + 16
    assert calls_to_keep(10_050, [0, 1], 100) == keep != calls_to_keep(10_050, [1, 1], 100)


def test_of_a_run_of_unknown_length_every_part_is_looked_at() -> None:
    for seed in range(20):
        keep = calls_to_keep_without_end([seed, 0])
        for calls in (16, 1000, 123_456, 10_000_000):
            assert sum(calls // 4 <= number < calls for number in keep) >= 4
            assert 10 <= sum(number < calls for number in keep) <= 4 * calls.bit_length()
