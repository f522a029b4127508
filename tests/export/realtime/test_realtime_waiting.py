"""Waiting: the engine runs meanwhile and stops in time. On a clock of the tests' own, where nothing is ever busy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import cycle, repeat
from pathlib import Path

import bundle_factory as factory
import pytest
from hypothesis import given
from hypothesis import strategies as st

import daenr_export
from daenr_common.errors import DaenrError
from daenr_export.runtime.realtime.waiting import Waiter

MS = 1_000_000
US = 1_000
LOOK = 100
"""What each look at the clock takes, in ns."""


class World:
    """A clock, an engine that takes as long as it is told, and a sleep that ends late."""

    def __init__(self, durations_ns: Iterator[int] | None = None, oversleep_ns: int = 80 * US) -> None:
        self.now = 10**15
        self.runs: list[tuple[int, int]] = []
        self.slept_ns = 0
        self._durations, self._oversleep = durations_ns or repeat(100 * US), oversleep_ns

    def clock(self) -> int:
        self.now += LOOK
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        taken = round(seconds * 1e9) + self._oversleep
        self.now += taken
        self.slept_ns += taken

    def run(self) -> None:
        start = self.now
        self.now += next(self._durations)
        self.runs.append((start, self.now))

    def waiter(self, *expected_ns: int) -> Waiter:
        return Waiter(expected_ns or (100 * US,), clock_ns=self.clock, sleep=self.sleep)


def test_the_engine_runs_until_shortly_before_the_instant() -> None:
    world = World()
    due = world.now + 10 * MS
    world.waiter().wait_until(due, world.run)
    assert due <= world.now <= due + 2 * LOOK
    assert len(world.runs) > 80
    last = world.runs[-1][1]
    assert due - 110 * US < last <= due


def test_asleep_it_wakes_before_the_instant_and_spends_the_rest_awake() -> None:
    world = World(oversleep_ns=150 * US)
    due = world.now + 10 * MS
    world.waiter().wait_until(due, None)
    assert due <= world.now <= due + 2 * LOOK
    assert 9.7 * MS < world.slept_ns < 10 * MS
    assert not world.runs


@pytest.mark.parametrize("warm", [False, True])
def test_an_instant_that_has_passed_is_not_waited_for(warm: bool) -> None:
    world = World()
    start = world.now
    world.waiter().wait_until(start - MS, world.run if warm else None)
    world.waiter().wait_until(start, world.run if warm else None)
    assert world.now - start < 20 * LOOK
    assert not world.runs
    assert not world.slept_ns


def test_a_short_wait_has_no_time_for_a_run() -> None:
    world = World()
    due = world.now + 90 * US
    world.waiter().wait_until(due, world.run)
    assert due <= world.now <= due + 2 * LOOK
    assert not world.runs


@given(
    st.lists(st.integers(20 * US, 400 * US), min_size=1, max_size=40),
    st.lists(st.integers(0, 5 * MS), min_size=1, max_size=20),
)
def test_whatever_the_engine_does_it_is_never_early_and_late_by_no_more_than_one_run(
    durations: list[int], waits: list[int]
) -> None:
    world = World(cycle(durations))
    waiter = world.waiter(*durations)
    for wait in waits:
        due = world.now + wait
        waiter.wait_until(due, world.run)
        assert due <= world.now < due + max(durations)


def test_steady_durations_are_never_overrun() -> None:
    """As long as the last 128 runs tell what the next one takes, each wait ends within microseconds."""
    world = World(cycle([95 * US, 100 * US, 105 * US, 130 * US]))
    waiter = world.waiter()
    waiter.wait_until(world.now + 50 * MS, world.run)
    for wait in range(1, 60):
        due = world.now + wait * 137 * US
        waiter.wait_until(due, world.run)
        assert due <= world.now <= due + 2 * LOOK


def test_two_runs_that_were_preempted_do_not_count() -> None:
    world = World(iter([4 * MS, 5 * MS, *[100 * US] * 10_000]))
    waiter = world.waiter()
    waiter.wait_until(world.now + 20 * MS, world.run)
    before = len(world.runs)
    waiter.wait_until(world.now + 2 * MS, world.run)
    assert len(world.runs) - before > 10


def test_slow_runs_of_long_ago_are_forgotten() -> None:
    world = World()
    waiter = world.waiter(*[3 * MS] * 5, *[100 * US] * 5)
    counts = []
    for _ in range(150):
        before = len(world.runs)
        due = world.now + 2 * MS
        waiter.wait_until(due, world.run)
        assert due <= world.now <= due + 2 * LOOK
        counts.append(len(world.runs) - before)
    assert counts[0] == 0
    assert counts[-1] > 10


def test_an_engine_that_always_takes_longer_than_the_wait_is_not_run() -> None:
    world = World(repeat(3 * MS))
    waiter = world.waiter(3 * MS)
    for _ in range(50):
        waiter.wait_until(world.now + 2 * MS, world.run)
    assert not world.runs


@pytest.mark.parametrize("period", [2 * MS, 10 * MS, 100 * MS])
def test_a_warm_loop_leaves_the_kernel_what_it_asks_of_real_time_threads(period: int) -> None:
    """Linux stops threads of the policy SCHED_FIFO that take more than 95 % of a second."""
    world = World()
    waiter = world.waiter()
    start = world.now
    for frame in range(200):
        waiter.wait_until(start + (frame + 1) * period, world.run)
        world.run()
    assert 0.05 < world.slept_ns / (world.now - start) < 0.2


@pytest.mark.parametrize("instant", [time.time_ns, lambda: 2**62])
def test_an_instant_of_another_clock_is_refused(instant: Callable[[], int]) -> None:
    waiter = Waiter([100 * US])
    with pytest.raises(DaenrError, match=r"due_ns=\d+: is .* s ahead, so it is not on the clock of time.monotonic_ns"):
        waiter.wait_until(instant(), None)


def test_waiting_for_a_frame_asks_between_runs() -> None:
    world = World()
    comes = world.now + 3 * MS + 20 * US
    assert world.waiter().wait_for(lambda: world.now >= comes, world.now + 10 * MS, world.run)
    assert comes <= world.now < comes + 400 * US
    assert len(world.runs) > 20


def test_a_frame_that_is_there_already_waits_for_nothing() -> None:
    world = World()
    start = world.now
    for run in (world.run, None):
        assert world.waiter().wait_for(lambda: True, start + 10 * MS, run)
    assert world.now - start <= 4 * LOOK
    assert not world.runs
    assert not world.slept_ns


@pytest.mark.parametrize("warm", [False, True])
def test_a_frame_that_never_comes_is_given_up_in_time(warm: bool) -> None:
    world = World()
    until = world.now + 10 * MS
    assert not world.waiter().wait_for(lambda: False, until, world.run if warm else None)
    assert until <= world.now < until + 100 * US
    assert bool(world.runs) is warm


def test_a_frame_that_comes_when_no_run_fits_any_more_is_not_missed() -> None:
    world = World()
    until = world.now + 10 * MS
    assert world.waiter().wait_for(lambda: world.now >= until - 30 * US, until, world.run)
    assert until - 30 * US <= world.now < until - 20 * US


def test_what_ready_or_a_run_raises_comes_through() -> None:
    def broken() -> bool:
        raise LookupError("queue")

    world = World()
    for run in (world.run, None):
        with pytest.raises(LookupError, match="queue"):
            world.waiter().wait_for(broken, world.now + MS, run)
    with pytest.raises(LookupError, match="queue"):
        world.waiter().wait_until(world.now + MS, broken)


@pytest.mark.parametrize("keep_warm", [False, True])
def test_other_threads_get_on_while_it_waits(shared_tiny_bundle: Path, keep_warm: bool) -> None:
    done = threading.Event()

    def count() -> None:
        for _ in range(100_000):
            pass
        done.set()

    with (
        daenr_export.load(shared_tiny_bundle, backend="onnxruntime") as model,
        model.realtime(keep_warm=keep_warm) as rt,
    ):
        rt(factory.some_images(1))
        thread = threading.Thread(target=count)
        thread.start()
        assert rt.wait_for(done.is_set, time.monotonic_ns() + 60 * 10**9)
        thread.join()
        due = time.monotonic_ns() + 20 * MS
        rt.wait_until(due)
        assert time.monotonic_ns() >= due
