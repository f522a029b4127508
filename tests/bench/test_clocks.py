"""Clocks: the monotonic one decides everything, the wall clock is only looked at."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_factory import FakeBackend, FakeClock

from daenr_bench import Plan, Report, benchmark
from daenr_bench.clocks import SYSTEM_CLOCK, clock_use, read_both
from daenr_bench.notes import notes
from daenr_bench.scenarios.burst import Burst
from daenr_bench.scenarios.paced import Paced


def measured(bundle: Path, *, step_ns: int) -> Report:
    """A run during which somebody sets the wall clock."""
    clock = FakeClock()

    def stepping(number: int, _: int) -> int:
        if number == 150:
            clock.wall_ahead_ns = step_ns
        return 100_000

    backend = FakeBackend(bundle, clock, stepping)
    plan = Plan((Burst(samples=100), Paced(samples=50)))
    return benchmark(bundle, backends=[backend], graphs=["responses"], plan=plan, clock=clock)  # type: ignore[arg-type]


@pytest.mark.parametrize("step_s", [3600, -3600, 0.06])
def test_a_wall_clock_that_steps_is_noted_and_changes_no_figure(shared_timed_bundle: Path, step_s: float) -> None:
    steady = measured(shared_timed_bundle, step_ns=0)
    stepped = measured(shared_timed_bundle, step_ns=round(step_s * 1e9))
    assert stepped.result.measurements == steady.result.measurements
    assert steady.result.clock.wall_clock_step_s == 0
    assert stepped.result.clock.wall_clock_step_s == pytest.approx(step_s)
    assert any(f"the wall clock was set by {step_s:+.3f} s" in line for line in notes(stepped.result))
    assert not any("wall clock" in line for line in notes(steady.result))


def test_slow_correction_by_a_time_server_is_no_step(shared_timed_bundle: Path) -> None:
    assert measured(shared_timed_bundle, step_ns=5_000_000).result.clock.wall_clock_step_s == 0


def test_the_system_clock_waits_until_an_instant_and_not_for_one_that_passed() -> None:
    before = read_both(SYSTEM_CLOCK)
    due_ns = SYSTEM_CLOCK.read() + 3_000_000
    SYSTEM_CLOCK.wait_until(due_ns)
    assert SYSTEM_CLOCK.read() >= due_ns
    SYSTEM_CLOCK.wait_until(due_ns)
    SYSTEM_CLOCK.wait_until(0)
    use = clock_use(before, SYSTEM_CLOCK)
    assert (use.name, use.wall_clock_step_s) == ("time.perf_counter_ns", 0)
    assert use.resolution_ns is not None
    assert use.resolution_ns >= 1
