"""Long runs on a clock that makes an hour of seconds: drift, memory, stalls, and how much is written."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bench_factory import FakeBackend, FakeClock

from daenr_bench import Plan, benchmark
from daenr_bench.measurement import Measurement, Paced, Soak
from daenr_bench.scenarios import soak
from daenr_bench.scenarios.pacing import Pace
from daenr_bench.scenarios.soak import Soak as SoakPlan
from daenr_bench.scenarios.tracks import Outcome
from daenr_common.errors import DaenrError

Measure = Callable[..., Outcome]

MS = 1_000_000
AT_10_HZ = Pace(10.0)


def only(outcome: Outcome) -> tuple[Measurement, Soak, Paced]:
    (measurement,) = outcome.measurements
    assert measurement.soak is not None
    assert measurement.paced is not None
    return measurement, measurement.soak, measurement.paced


def test_a_steady_engine_drifts_nowhere(measure: Measure, shared_timed_bundle: Path) -> None:
    clock = FakeClock()
    outcome = measure(SoakPlan(AT_10_HZ, duration_s=200), clock, FakeBackend(shared_timed_bundle, clock))
    measurement, figures, paced = only(outcome)
    assert (figures.planned_s, figures.measured_s, figures.drift) == (200, 200, 1.0)
    assert (paced.frames, paced.misses, paced.verdict) == (2000, 0, "pass")
    assert [block.n for block in measurement.blocks] == [100] * 20
    assert np.diff([block.start_s for block in measurement.blocks]) == pytest.approx(10.0)
    assert all(block.histogram is not None and block.histogram.counts == (100,) for block in measurement.blocks)


def test_an_engine_that_slows_down_is_seen_to_drift(measure: Measure, shared_timed_bundle: Path) -> None:
    clock = FakeClock()
    backend = FakeBackend(shared_timed_bundle, clock, lambda _, now_ns: MS + now_ns // 200_000)
    _, figures, paced = only(measure(SoakPlan(AT_10_HZ, duration_s=200), clock, backend))
    assert figures.drift == pytest.approx((1 + 0.95) / (1 + 0.05), rel=0.02)
    assert paced.misses == 0


def test_growing_memory_is_seen(measure: Measure, shared_timed_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A leak of a mebibyte every ten seconds, and one block that a neighbour's page cache disturbed."""
    clock, grown = FakeClock(), iter(range(100))
    monkeypatch.setattr(soak, "resident_bytes", lambda: 10**8 + (n := next(grown)) * 2**20 + (n == 7) * 10**9)
    outcome = measure(SoakPlan(AT_10_HZ, duration_s=200), clock, FakeBackend(shared_timed_bundle, clock))
    _, figures, _ = only(outcome)
    assert figures.rss_slope_bytes_per_hour == pytest.approx(360 * 2**20, rel=0.01)


def test_resident_memory_is_that_of_this_process() -> None:
    before = soak.resident_bytes()
    if before is None:
        pytest.skip("the system does not say")
    size = 64 * 2**20
    with mmap.mmap(-1, size) as ballast:  # pages of its own, not some that were freed before
        ballast.write(bytes([1]) * size)
        after = soak.resident_bytes()
    assert after is not None
    assert 0.9 * size < after - before < 5 * size


def test_a_stall_longer_than_a_block_is_not_forgotten_at_its_end(measure: Measure, shared_timed_bundle: Path) -> None:
    """The schedule goes on: a stall of 35 s in blocks of 10 s costs 350 frames, not the rest of one block."""
    clock, stalled = FakeClock(), []

    def latency_ns(_: int, now_ns: int) -> int:
        if now_ns >= 53_000 * MS and not stalled:
            stalled.append(now_ns)
            return 35_000 * MS
        return MS

    backend = FakeBackend(shared_timed_bundle, clock, latency_ns)
    outcome = measure(SoakPlan(AT_10_HZ, duration_s=200), clock, backend)
    measurement, _, paced = only(outcome)
    assert (paced.frames, paced.misses, paced.longest_run_of_misses) == (2000, 350, 350)
    assert [block.misses for block in measurement.blocks][4:10] == [0, 71, 100, 100, 79, 0]
    arrays = {key.split(".")[-1]: value for key, value in outcome.arrays.items()}
    assert len(arrays["missed_due_ns"]) == 350
    assert arrays["missed_latency_ns"].tolist() == [35_000 * MS] + [-1] * 349
    assert clock.now_ns < 201_000 * MS


def test_ctrl_c_keeps_the_blocks_so_far(measure: Measure, shared_timed_bundle: Path) -> None:
    clock = FakeClock()

    def interrupted(_: int, now_ns: int) -> int:
        if now_ns > 55_000 * MS:
            raise KeyboardInterrupt
        return MS

    backend = FakeBackend(shared_timed_bundle, clock, interrupted)
    outcome = measure(SoakPlan(AT_10_HZ, duration_s=200), clock, backend)
    measurement, figures, paced = only(outcome)
    assert not outcome.complete
    assert not measurement.complete
    assert figures.measured_s == pytest.approx(55, abs=0.3)
    assert [block.n for block in measurement.blocks] == [100] * 5 + [paced.frames - 500]


def test_an_hour_is_written_in_a_few_megabytes(shared_timed_bundle: Path, tmp_path: Path) -> None:
    """Latencies as wide as they come, and every tenth deadline missed."""
    clock, rng = FakeClock(), np.random.default_rng(0)
    taken = (rng.lognormal(13, 1, 80_000)).astype(np.int64)
    taken[::10] = 60 * MS
    backend = FakeBackend(shared_timed_bundle, clock, lambda number, _: int(taken[number]))
    plan = Plan((SoakPlan(Pace(20.0), duration_s=3600),))
    report = benchmark(shared_timed_bundle, backends=[backend], graphs=["responses"], plan=plan, clock=clock)  # type: ignore[arg-type]
    report.write(tmp_path / "soak.json")
    (measurement,) = report.result.measurements
    assert len(measurement.blocks) == 360
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 10 * 2**20


def test_a_soak_that_no_memory_holds_is_refused() -> None:
    with pytest.raises(DaenrError, match="100000 s at 1000 Hz: are 100000000 frames, at most 10000000 fit"):
        SoakPlan(Pace(1000.0), duration_s=100_000)
