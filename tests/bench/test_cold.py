"""Cold starts of a real backend, each in a new process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from bench_factory import FakeBackend, FakeClock, on_bench

from daenr_bench.cells import open_cells
from daenr_bench.clocks import SYSTEM_CLOCK
from daenr_bench.measurement import Measurement
from daenr_bench.scenarios.cold import STAGES, Cold
from daenr_bench.scenarios.tracks import Bench, Outcome
from daenr_export.bundle import Bundle
from daenr_export.runtime import registry


@pytest.fixture
def start(timed_bundle: Path) -> Callable[..., Outcome]:
    """Start onnxruntime cold; something may happen to the bundle before."""
    pytest.importorskip("onnxruntime")

    def start(plan: Cold, *, before: Callable[[Path], object] = lambda path: None) -> Outcome:
        with ExitStack() as stack:
            bundle = Bundle.open(timed_bundle)
            backend = registry.pick("onnxruntime")
            cells, _ = open_cells(bundle, [backend], ["responses"], stack, must_run=[backend.name])
            before(timed_bundle)
            return plan.measure(cells, Bench(bundle, SYSTEM_CLOCK))

    return start


def only(outcome: Outcome) -> Measurement:
    (measurement,) = outcome.measurements
    return measurement


def test_a_cold_start_has_its_stages_in_order(start: Callable[..., Outcome]) -> None:
    outcome = start(Cold(repeats=2))
    measurement = only(outcome)
    assert (measurement.state, measurement.complete, measurement.problems) == ("pass", True, ())
    cold = measurement.cold
    assert cold is not None
    assert (cold.repeats, tuple(cold.stages)) == (2, STAGES)
    assert all(0 < stage.min_ns <= stage.median_ns <= stage.max_ns for stage in cold.stages.values())
    # Starting Python and importing numpy and an engine take longer than one answer of a tiny graph.
    assert cold.stages["first answer"].median_ns < cold.stages["import"].median_ns
    assert cold.without_import.median_ns < cold.with_import.median_ns
    stages_ns = [outcome.arrays[measurement.samples[f"{stage.replace(' ', '_')}_ns"]] for stage in STAGES]
    assert sum(times[0] for times in stages_ns) in (cold.with_import.min_ns, cold.with_import.max_ns)
    assert measurement.timed_answers_compared == 2


def test_a_process_that_fails_is_a_fault_with_its_last_line(start: Callable[..., Outcome]) -> None:
    measurement = only(start(Cold(repeats=3), before=lambda path: (path / "graphs/responses.onnx").write_bytes(b"x")))
    assert (measurement.state, measurement.cold) == ("fault", None)
    assert "a new process with onnxruntime: ended with 1 (" in measurement.problems[0]
    assert "responses.onnx" in measurement.problems[0]


def test_a_process_that_hangs_is_stopped(start: Callable[..., Outcome]) -> None:
    measurement = only(start(Cold(repeats=3, timeout_s=0.01)))
    assert measurement.state == "fault"
    assert "gave no answer within 0.01 s of its start" in measurement.problems[0]


def test_a_backend_that_the_caller_made_cannot_be_started_again(
    opened: Callable[..., list[object]], shared_timed_bundle: Path
) -> None:
    clock = FakeClock()
    bench = on_bench(shared_timed_bundle, clock)
    cells = opened(FakeBackend(shared_timed_bundle, clock))
    outcome = Cold().measure(cells, Bench(bench.bundle, clock, made_by_caller=frozenset(["fake"])))  # type: ignore[arg-type]
    assert only(outcome).state == "cannot tell"
    assert only(outcome).problems == ("fake was made by the caller, and a new process could not make it again",)
