"""The timed loop on engines of known latency, and a clock that no machine disturbs."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from bench_factory import IMAGES, FakeBackend, FakeClock

from daenr_bench.back_to_back import Plan, Timing, measure, order
from daenr_bench.cells import Cell, open_cells
from daenr_bench.clocks import SYSTEM_CLOCK
from daenr_bench.quiet import quiet_gc, time_calls
from daenr_export.bundle import Bundle

Open = Callable[..., list[Cell]]


@pytest.fixture
def opened(shared_timed_bundle: Path) -> Iterator[Open]:
    """Open the graph `responses` on backends."""
    with ExitStack() as stack:

        def opened(*backends: FakeBackend) -> list[Cell]:
            bundle = Bundle.open(shared_timed_bundle)
            return open_cells(bundle, backends, ["responses"], stack, must_run=True)[0]

        yield opened


def time_one(opened: Open, backend: FakeBackend, clock: FakeClock, plan: Plan) -> Timing:
    return measure(opened(backend), plan, clock)


def test_a_constant_latency_is_measured_exactly(opened: Open, shared_timed_bundle: Path) -> None:
    clock = FakeClock()
    (samples,) = time_one(opened, FakeBackend(shared_timed_bundle, clock), clock, Plan(samples=100)).samples
    assert samples.latency_ns.dtype == np.int64
    assert samples.latency_ns.shape == (10, 10)
    assert (samples.latency_ns == 100_000).all()
    assert samples.warm_up is not None
    assert (samples.warm_up.calls, samples.warm_up.settled) == (75, True)


def test_both_modes_of_a_bimodal_latency_are_seen(opened: Open, shared_timed_bundle: Path) -> None:
    clock = FakeClock()
    backend = FakeBackend(shared_timed_bundle, clock, lambda number, _: 900_000 if number % 20 == 7 else 50_000)
    (samples,) = time_one(opened, backend, clock, Plan(samples=1000)).samples
    assert np.unique(samples.latency_ns, return_counts=True)[1].tolist() == [950, 50]


def test_drift_hits_all_engines_alike(opened: Open, shared_timed_bundle: Path) -> None:
    """Three engines that are equal, on a machine that becomes twice as slow within the run."""
    clock = FakeClock()

    def slowing(_: int, now_ns: int) -> int:
        return 100_000 + now_ns // 4000

    backends = [FakeBackend(shared_timed_bundle, clock, slowing, name=name) for name in "abc"]
    timing = measure(opened(*backends), Plan(samples=400), clock)
    rounds_ns = [np.median(samples.latency_ns, axis=1) for samples in timing.samples]
    assert all(medians[-1] > 1.2 * medians[0] for medians in rounds_ns)
    overall_ns = [np.median(samples.latency_ns) for samples in timing.samples]
    assert max(overall_ns) / min(overall_ns) < 1.02


@pytest.mark.parametrize("n_cells", [1, 2, 3, 18])
def test_each_cell_has_the_same_place_on_average(n_cells: int) -> None:
    rounds = [order(n_cells, number, 10) for number in range(10)]
    assert all(sorted(turn) == list(range(n_cells)) for turn in rounds)
    places = np.array([[turn.index(cell) for turn in rounds] for cell in range(n_cells)])
    assert np.ptp(places.mean(axis=1)) == 0
    if n_cells == 18:
        assert len({turn[0] for turn in rounds}) == 10


def test_calls_after_a_change_of_engine_are_not_counted(opened: Open, shared_timed_bundle: Path) -> None:
    """Each engine is slow for five calls after the other one ran."""
    clock = FakeClock()
    last: list[str] = []

    def cold(name: str) -> Callable[[int, int], int]:
        def latency_ns(number: int, _: int) -> int:
            last.append(name)
            return 100_000 if last[-6:] == [name] * 6 else 999_000

        return latency_ns

    backends = [FakeBackend(shared_timed_bundle, clock, cold(name), name=name) for name in "ab"]
    timing = measure(opened(*backends), Plan(samples=100), clock)
    assert all((samples.latency_ns == 100_000).all() for samples in timing.samples)


def test_the_warm_up_waits_until_the_latency_has_settled(opened: Open, shared_timed_bundle: Path) -> None:
    clock = FakeClock()
    # Eight calls compare the answers before; then a compiler works for 200 calls.
    backend = FakeBackend(shared_timed_bundle, clock, lambda number, _: 1_000_000 // (1 + min(number, 208)) + 20_000)
    (samples,) = time_one(opened, backend, clock, Plan(samples=50)).samples
    assert samples.warm_up is not None
    assert samples.warm_up.settled
    assert samples.warm_up.calls > 75


def test_a_warm_up_that_never_settles_ends_and_says_so(opened: Open, shared_timed_bundle: Path) -> None:
    clock = FakeClock()
    backend = FakeBackend(shared_timed_bundle, clock, lambda number, _: 1000 * (1 + (number - 8) // 25 % 2))
    (samples,) = time_one(opened, backend, clock, Plan(samples=50)).samples
    assert samples.warm_up is not None
    assert (samples.warm_up.calls, samples.warm_up.settled) == (1000, False)


def test_a_slow_engine_is_not_warmed_up_for_minutes(opened: Open, shared_timed_bundle: Path) -> None:
    clock = FakeClock()
    backend = FakeBackend(shared_timed_bundle, clock, lambda number, _: 10**8 * (1 + (number - 8) // 25 % 2))
    (samples,) = time_one(opened, backend, clock, Plan(samples=10)).samples
    assert samples.warm_up is not None
    assert samples.warm_up.calls == 25


def test_inputs_take_turns_and_the_answers_that_are_kept_are_theirs(opened: Open, shared_timed_bundle: Path) -> None:
    clock = FakeClock()
    cells = opened(FakeBackend(shared_timed_bundle, clock))
    (samples,) = measure(cells, Plan(samples=100, checks=20), clock).samples
    assert len(samples.kept) == 20
    for number, (responses,) in samples.kept.items():
        np.testing.assert_array_equal(responses[0], cells[0].answers["responses"][number % IMAGES])
    again = measure(cells, Plan(samples=100, checks=20), clock).samples[0].kept
    other = measure(cells, Plan(samples=100, checks=20, seed=1), clock).samples[0].kept
    assert again.keys() == samples.kept.keys() != other.keys()


def test_ctrl_c_keeps_the_complete_blocks(opened: Open, shared_timed_bundle: Path) -> None:
    clock = FakeClock()

    def interrupted(number: int, _: int) -> int:
        if number == 8 + 75 + 3 * (10 + 10) + 15:
            raise KeyboardInterrupt
        return 100_000

    timing = time_one(opened, FakeBackend(shared_timed_bundle, clock, interrupted), clock, Plan(samples=100))
    assert not timing.complete
    assert timing.samples[0].latency_ns.shape == (3, 10)
    assert gc.isenabled()


def test_the_collector_is_quiet_and_then_as_before() -> None:
    frozen = gc.get_freeze_count()
    with quiet_gc():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() <= frozen
    gc.disable()
    try:
        with quiet_gc():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_system_clock_does_not_go_back() -> None:
    latency_ns = np.empty(1000, np.int64)
    time_calls(lambda batch: (), [np.zeros(1)], latency_ns, clock=SYSTEM_CLOCK)
    assert (latency_ns >= 0).all()
    assert latency_ns.any()
