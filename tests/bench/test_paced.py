"""The fixed schedule on engines of known latency: what theory says of misses, ages and verdicts comes out exactly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bench_factory import COMPARED, FakeBackend, FakeClock

from daenr_bench.measurement import Latency, Measurement, Paced
from daenr_bench.result import Overhead
from daenr_bench.scenarios.burst import Burst
from daenr_bench.scenarios.paced import Paced as PacedPlan
from daenr_bench.scenarios.paced import PacedWarm
from daenr_bench.scenarios.pacing import Pace
from daenr_bench.scenarios.tracks import Arrays, Outcome

Measure = Callable[..., Outcome]

MS = 1_000_000
LEAD_IN = 5
UNTIMED = COMPARED + 75
"""Calls that compare the golden answers, and calls of the warm-up."""


def only(outcome: Outcome) -> tuple[Measurement, Latency, Paced, Arrays]:
    (measurement,) = outcome.measurements
    assert measurement.latency is not None
    assert measurement.paced is not None
    return measurement, measurement.latency, measurement.paced, {k.split(".")[-1]: v for k, v in outcome.arrays.items()}


def test_a_constant_latency_is_measured_exactly(measure: Measure, shared_timed_bundle: Path) -> None:
    clock = FakeClock()
    measurement, latency, paced, arrays = only(measure(PacedPlan(), clock, FakeBackend(shared_timed_bundle, clock)))
    assert (measurement.state, measurement.complete, measurement.timed_answers_compared) == ("pass", True, 16)
    assert (latency.n, latency.unanswered, latency.min_ns, latency.max_ns) == (700, 0, 100_000, 100_000)
    assert (paced.frames, paced.misses, paced.longest_run_of_misses, paced.verdict) == (700, 0, 0, "pass")
    assert (paced.service.max_ns, paced.start_delay.max_ns) == (100_000, 0)
    assert paced.peak_age is not None
    assert (paced.peak_age.min_ns, paced.peak_age.max_ns) == (10_100_000, 10_100_000)
    assert paced.mean_age_ns == 5_100_000
    assert np.diff(arrays["due_ns"].reshape(5, 140)).tolist() == [[10 * MS] * 139] * 5
    assert [block.n for block in measurement.blocks] == [140] * 5


def test_latency_counts_from_the_due_instant(measure: Measure, shared_timed_bundle: Path) -> None:
    """One call in a hundred takes 14 ms at 100 Hz: the next frame starts 4 ms late and pays for it."""
    clock = FakeClock()

    def slow(number: int, _: int) -> int:
        return 14 * MS if (number - UNTIMED - LEAD_IN) % 100 == 50 else MS

    plan = PacedPlan(samples=1000, rounds=1)
    _, latency, paced, arrays = only(measure(plan, clock, FakeBackend(shared_timed_bundle, clock, slow)))
    taken = arrays["end_ns"] - arrays["due_ns"]
    values, counts = np.unique(taken, return_counts=True)
    assert (values.tolist(), counts.tolist()) == ([MS, 5 * MS, 14 * MS], [980, 10, 10])
    assert (paced.misses, paced.late, paced.skipped, paced.longest_run_of_misses) == (10, 10, 0, 1)
    assert paced.service.percentiles["p99"].value_ns == MS
    assert paced.start_delay.max_ns == 4 * MS
    assert latency.percentiles["p99"].value_ns == 5 * MS


def stalling(every_ns: int, stall_ns: int) -> Callable[[int, int], int]:
    """An engine that answers in 0.1 ms, and stalls once in each stretch of time."""
    seen: set[int] = set()

    def latency_ns(_: int, now_ns: int) -> int:
        stretch = now_ns // every_ns
        if stretch and stretch not in seen:
            seen.add(stretch)
            return stall_ns
        return 100_000

    return latency_ns


def test_a_burst_looks_fine_where_a_rig_loses_a_tenth_of_its_frames(
    measure: Measure, shared_timed_bundle: Path
) -> None:
    """Coordinated omission: the burst waits for a stall of a second once, the rig's frames do not wait."""
    clock = FakeClock()
    backend = FakeBackend(shared_timed_bundle, clock, stalling(10_000 * MS, 1000 * MS))
    burst = measure(Burst(samples=100_000), clock, backend).measurements[0].latency
    assert burst is not None
    assert burst.max_ns == 1000 * MS
    assert burst.percentiles["p99.9"].upper_bound_ns == 100_000

    clock = FakeClock()
    backend = FakeBackend(shared_timed_bundle, clock, stalling(10_000 * MS, 1000 * MS))
    measurement, latency, paced, _ = only(measure(PacedPlan(samples=5500, rounds=1), clock, backend))
    assert (paced.late, paced.skipped, paced.misses) == (5, 5 * 99, 500)
    assert paced.longest_run_of_misses == 100
    assert latency.unanswered == 495
    assert latency.percentiles["p90"].value_ns == 100_000
    assert latency.percentiles["p99"].value_ns is None
    assert latency.percentiles["p99"].refused == "495 of 5500 calls were never answered"
    assert paced.verdict == "fail"
    assert measurement.state == "pass"  # it was measured, and its answers are right
    assert not paced.is_gate


@pytest.mark.parametrize(("takes_ms", "answered"), [(9, 1200), (10, 1200), (25, 480), (40, 300)])
def test_a_rate_that_cannot_be_kept_shows_as_misses_and_not_as_a_longer_schedule(
    measure: Measure, shared_timed_bundle: Path, takes_ms: int, answered: int
) -> None:
    clock = FakeClock()
    backend = FakeBackend(shared_timed_bundle, clock, lambda *_: takes_ms * MS)
    plan = PacedPlan(samples=1200, rounds=1, lead_in=0)
    _, latency, paced, arrays = only(measure(plan, clock, backend))
    assert latency.n == answered
    assert paced.misses == (0 if takes_ms <= 10 else 1200)
    assert paced.verdict == ("pass" if takes_ms <= 10 else "fail")
    due_ns, end_ns = arrays["due_ns"], arrays["end_ns"]
    assert due_ns[-1] - due_ns[0] == 1199 * 10 * MS
    doing_nothing = 1200 * 10 * MS  # afterwards, on a schedule of the same length
    assert clock.now_ns <= due_ns[-1] + due_ns[0] + (10 + takes_ms) * MS + UNTIMED * takes_ms * MS + doing_nothing
    assert (end_ns[end_ns >= 0] >= due_ns[end_ns >= 0]).all()


class LateClock(FakeClock):
    """Wakes up 30 µs late, and every fiftieth time 300."""

    wakes = 0

    def wait_until(self, due_ns: int) -> None:
        self.wakes += 1
        super().wait_until(due_ns + (300_000 if self.wakes % 50 == 0 else 30_000))


@pytest.mark.parametrize(
    ("plan", "found"), [(PacedPlan(), {"waking": Overhead(700, 30_000, 300_000)}), (PacedWarm(), {})]
)
def test_what_the_machine_takes_is_found_with_an_engine_that_does_nothing(
    measure: Measure, shared_timed_bundle: Path, plan: PacedPlan, found: dict[str, Overhead]
) -> None:
    """Where the engine is kept warm the loop never sleeps, so that nothing wakes up."""
    clock = LateClock()
    assert measure(plan, clock, FakeBackend(shared_timed_bundle, clock)).overhead == found


def test_a_skipped_frame_is_replaced_by_the_newest(measure: Measure, shared_timed_bundle: Path) -> None:
    clock = FakeClock()
    backend = FakeBackend(
        shared_timed_bundle, clock, lambda number, _: 35 * MS if number == UNTIMED + LEAD_IN + 2 else MS
    )
    _, _, paced, arrays = only(measure(PacedPlan(samples=20, rounds=1), clock, backend))
    answered = arrays["end_ns"] >= 0
    assert np.flatnonzero(~answered).tolist() == [3, 4]
    assert arrays["start_ns"][5] - arrays["due_ns"][5] == 5 * MS
    assert (paced.late, paced.skipped, paced.longest_run_of_misses) == (1, 2, 3)


def test_where_most_frames_are_never_answered_the_answers_of_others_are_compared(
    measure: Measure, shared_timed_bundle: Path
) -> None:
    clock = FakeClock()
    backend = FakeBackend(shared_timed_bundle, clock, lambda *_: 95 * MS)
    measurement, latency, _, _ = only(measure(PacedPlan(samples=1000, rounds=1), clock, backend))
    assert latency.n == pytest.approx(100, abs=2)
    assert 8 <= measurement.timed_answers_compared <= 16
    backend = FakeBackend(
        shared_timed_bundle, clock, lambda *_: 95 * MS, spoil=lambda number, answer: answer * (number < COMPARED)
    )
    assert measure(PacedPlan(samples=1000, rounds=1), clock, backend).measurements[0].state == "fail"


def test_rare_spikes_cannot_be_told_from_few_frames(measure: Measure, shared_timed_bundle: Path) -> None:
    """One frame in 200 is late, which is allowed; 700 frames are too few to be sure of it, 7000 are enough."""
    verdicts = []
    for samples in (700, 7000):
        clock = FakeClock()
        backend = FakeBackend(shared_timed_bundle, clock, lambda number, _: 11 * MS if number % 200 == 150 else MS)
        _, _, paced, _ = only(measure(PacedPlan(samples=samples, lead_in=0), clock, backend))
        assert paced.misses / paced.frames == pytest.approx(0.005, abs=0.001)
        verdicts.append((paced.verdict, "too few frames to tell" in paced.reason))
    assert verdicts == [("cannot tell", True), ("pass", False)]


@pytest.mark.parametrize(("deadline_ns", "misses"), [(2 * MS, 0), (2 * MS - 1, 700)])
def test_the_deadline_counts_from_the_due_instant_and_is_a_gate_if_given(
    measure: Measure, shared_timed_bundle: Path, deadline_ns: int, misses: int
) -> None:
    clock = FakeClock()
    backend = FakeBackend(shared_timed_bundle, clock, lambda *_: 2 * MS)
    measurement, _, paced, _ = only(measure(PacedPlan(Pace(100, deadline_ns)), clock, backend))
    assert (paced.misses, paced.is_gate) == (misses, True)
    assert [verdict.value for verdict in measurement.verdicts] == ["pass", "fail" if misses else "pass"]


def test_calls_after_a_change_of_engine_are_not_counted(measure: Measure, shared_timed_bundle: Path) -> None:
    clock, last = FakeClock(), [""]

    def cold(name: str) -> Callable[[int, int], int]:
        def latency_ns(_: int, __: int) -> int:
            was, last[0] = last[0], name
            return MS if was == name else 9 * MS

        return latency_ns

    backends = [FakeBackend(shared_timed_bundle, clock, cold(name), name=name) for name in "ab"]
    outcome = measure(PacedPlan(samples=100), clock, *backends)
    assert [m.latency and m.latency.max_ns for m in outcome.measurements] == [MS, MS]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("the device is lost")])
def test_what_was_measured_before_the_end_is_kept(
    measure: Measure, shared_timed_bundle: Path, error: BaseException
) -> None:
    clock = FakeClock()

    def ending(number: int, _: int) -> int:
        if number == UNTIMED + 2 * (LEAD_IN + 20) + LEAD_IN + 7:
            raise error
        return MS

    outcome = measure(PacedPlan(samples=100), clock, FakeBackend(shared_timed_bundle, clock, ending))
    measurement, latency, paced, arrays = only(outcome)
    is_fault = isinstance(error, RuntimeError)
    assert (measurement.state, outcome.complete) == ("fault" if is_fault else "pass", is_fault)
    assert not measurement.complete
    assert (latency.n, paced.frames, len(arrays["due_ns"])) == (47, 47, 47)
    assert [block.n for block in measurement.blocks] == [20, 20, 7]


def test_wrong_answers_in_timed_frames_fail_without_a_figure(measure: Measure, shared_timed_bundle: Path) -> None:
    clock = FakeClock()
    backend = FakeBackend(shared_timed_bundle, clock, spoil=lambda number, answer: answer + (number > UNTIMED))
    outcome = measure(PacedPlan(samples=100), clock, backend)
    assert outcome.measurements[0].state == "fail"
    assert (outcome.measurements[0].latency, outcome.measurements[0].paced, outcome.arrays) == (None, None, {})
