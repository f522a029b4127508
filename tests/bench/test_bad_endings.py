"""Runs that end badly: a backend that dies, Ctrl-C at any moment, a clock that leaps. What was measured is kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_factory import COMPARED, FakeBackend, FakeClock
from click.testing import CliRunner, Result

from daenr_bench.cli import main
from daenr_bench.clocks import SYSTEM_CLOCK
from daenr_bench.measurement import Measurement
from daenr_bench.scenarios import cold as cold_module
from daenr_bench.scenarios.burst import Burst
from daenr_bench.scenarios.cold import Cold
from daenr_bench.scenarios.loadgen import Offline, SingleStream
from daenr_bench.scenarios.paced import Paced, PacedWarm
from daenr_bench.scenarios.pacing import Pace
from daenr_bench.scenarios.soak import Soak
from daenr_bench.scenarios.throughput import Throughput
from daenr_bench.scenarios.tracks import Outcome, Scenario
from daenr_export.runtime import registry
from daenr_export.runtime.registry import BackendStatus
from daenr_export.specs import Array

Measure = Callable[..., Outcome]

MS = 1_000_000
SCENARIOS: dict[str, Scenario] = {
    "burst": Burst(samples=200),
    "paced": Paced(samples=200),
    "paced-warm": PacedWarm(Pace(1000.0), samples=50),
    "throughput": Throughput(rounds=2, block_ns=2_000_000),
    "soak": Soak(Pace(10.0), duration_s=20),
    "loadgen-single-stream": SingleStream(2000, 20),
    "loadgen-offline": Offline(2000, 20),
}
ON_REAL_CLOCK = ("paced-warm", "loadgen-single-stream", "loadgen-offline")


def ending(at: int, error: BaseException) -> Callable[[int, Array], Array]:
    """An engine that is right until one of its calls, and then raises for good."""

    def spoil(number: int, answer: Array) -> Array:
        if number >= at:
            raise error
        return answer

    return spoil


def measured(measurement: Measurement) -> bool:
    figures = (measurement.latency, measurement.throughput, measurement.cold, measurement.loadgen)
    return any(figure is not None for figure in figures)


@pytest.mark.parametrize("name", SCENARIOS)
def test_where_one_backend_dies_the_others_finish(measure: Measure, shared_timed_bundle: Path, name: str) -> None:
    if name.startswith("loadgen"):
        pytest.importorskip("mlperf_loadgen", reason="mlcommons-loadgen is not installed")
    clock = FakeClock()
    # The queries of LoadGen come after a thousand calls of warm-up at most.
    at = COMPARED + (1200 if name.startswith("loadgen") else 20 if name == "paced-warm" else 110)
    bad = FakeBackend(shared_timed_bundle, clock, name="bad", spoil=ending(at, RuntimeError("the device\nis lost")))
    good = FakeBackend(shared_timed_bundle, clock, name="good")
    outcome = measure(SCENARIOS[name], SYSTEM_CLOCK if name in ON_REAL_CLOCK else clock, bad, good)
    died, finished = outcome.measurements
    assert outcome.complete
    assert (finished.state, finished.complete, finished.problems) == ("pass", True, ())
    assert measured(finished)
    assert (died.state, died.complete) == ("fault", False)
    assert "the device is lost" in died.problems[0]
    if name not in ON_REAL_CLOCK:
        assert measured(died)
        assert died.samples.keys() <= finished.samples.keys()
        assert set(died.samples.values()) <= outcome.arrays.keys()


@pytest.mark.parametrize("name", SCENARIOS)
def test_ctrl_c_ends_a_scenario_and_what_was_measured_is_kept(
    measure: Measure, shared_timed_bundle: Path, name: str
) -> None:
    if name.startswith("loadgen"):
        pytest.importorskip("mlperf_loadgen", reason="mlcommons-loadgen is not installed")
    clock = FakeClock()
    backend = FakeBackend(shared_timed_bundle, clock, spoil=ending(COMPARED + 110, KeyboardInterrupt()))
    outcome = measure(SCENARIOS[name], SYSTEM_CLOCK if name in ON_REAL_CLOCK else clock, backend)
    (measurement,) = outcome.measurements
    assert not outcome.complete
    assert not measurement.complete
    assert measurement.state in ("pass", "cannot tell")
    assert measured(measurement) == (measurement.state == "pass")
    if name not in ON_REAL_CLOCK:
        assert measured(measurement)
        assert outcome.arrays


def test_ctrl_c_ends_cold_starts_too(
    opened: Callable[..., Any], shared_timed_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    from bench_factory import on_bench

    cells, started = opened(registry.pick("onnxruntime")), []
    run = cold_module.subprocess.run

    def interrupted(*arguments: Any, **options: Any) -> Any:
        started.append(arguments)
        if len(started) > 1:
            raise KeyboardInterrupt
        return run(*arguments, **options)

    monkeypatch.setattr(cold_module.subprocess, "run", interrupted)
    outcome = Cold(repeats=3).measure(cells, on_bench(shared_timed_bundle, FakeClock()))
    (measurement,) = outcome.measurements
    assert not outcome.complete
    assert measurement.cold is not None
    assert measurement.cold.repeats == 1


@pytest.mark.parametrize("leap_ms", [35, 3_600_000])
def test_a_clock_that_leaps_forward_is_a_stall_and_no_shorter_schedule(
    measure: Measure, shared_timed_bundle: Path, leap_ms: int
) -> None:
    """A virtual machine that is paused: its clock has gone on when it wakes, and so has the experiment."""
    clock = FakeClock()
    backend = FakeBackend(shared_timed_bundle, clock, lambda *_: MS)
    waits = clock.wait_until
    woken: list[int] = []

    def wait_until(due_ns: int) -> None:
        waits(due_ns)
        woken.append(due_ns)
        if len(woken) == 60:
            clock.now_ns += leap_ms * MS

    clock.wait_until = wait_until  # type: ignore[method-assign]
    (measurement,) = measure(Paced(samples=200, rounds=1), clock, backend).measurements
    paced = measurement.paced
    assert paced is not None
    assert (measurement.state, paced.frames) == ("pass", 200)
    # The 55th of the frames that count was due when the clock leapt; it and those that were due meanwhile are missed.
    assert paced.misses == (3 if leap_ms == 35 else 146)
    assert paced.longest_run_of_misses == paced.misses
    assert measurement.latency is not None
    assert measurement.latency.min_ns >= MS


Invoke = Callable[..., Result]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared_timed_bundle: Path) -> Callable[..., Result]:
    """`daenr-bench run` with two backends, of which one is given."""
    monkeypatch.chdir(tmp_path)

    def invoke(bad: FakeBackend, *arguments: object) -> Result:
        good = FakeBackend(shared_timed_bundle, FakeClock(), lambda *_: int(time.sleep(1e-5) or 0), name="good")
        backends = {bad.name: bad, "good": good}
        monkeypatch.setattr(registry, "backends", lambda: tuple(BackendStatus(name, True) for name in backends))
        monkeypatch.setattr(registry, "_make", backends.__getitem__)
        run = ["run", str(shared_timed_bundle), "--graph", "responses", "--json", "r.json"]
        return CliRunner().invoke(main, [*run, *map(str, arguments)])

    return invoke


def test_a_fault_is_exit_code_1_and_its_partial_samples_are_in_the_file(
    invoke: Invoke, shared_timed_bundle: Path, tmp_path: Path
) -> None:
    # The warm-up has at most a thousand calls; two thousand are timed.
    bad = FakeBackend(
        shared_timed_bundle, FakeClock(), name="bad", spoil=ending(COMPARED + 1800, RuntimeError("the device is lost"))
    )
    result = invoke(bad, "--scenario", "burst", "--samples", "2000")
    assert result.exit_code == 1
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("FAULT responses on bad (burst): ")]
    assert "the device is lost" in line
    document = json.loads((tmp_path / "r.json").read_text("utf-8"))
    died, finished = document["measurements"]
    assert (died["state"], died["complete"], finished["state"]) == ("fault", False, "pass")
    assert 0 < died["latency"]["n"] < 2000
    assert finished["latency"]["n"] == 2000
    with np.load(tmp_path / "r.samples.npz", allow_pickle=False) as arrays:
        partial = arrays[died["samples"]["latency_ns"]]
    assert (partial >= 0).sum() == died["latency"]["n"]


def test_ctrl_c_before_anything_is_measured_leaves_nothing(
    invoke: Invoke, shared_timed_bundle: Path, tmp_path: Path
) -> None:
    bad = FakeBackend(shared_timed_bundle, FakeClock(), name="bad", spoil=ending(3, KeyboardInterrupt()))
    result = invoke(bad)
    assert result.exit_code == 130
    assert result.stdout == ""
    assert result.stderr.strip() == "daenr-bench: interrupted"
    assert list(tmp_path.glob("r.*")) == []
