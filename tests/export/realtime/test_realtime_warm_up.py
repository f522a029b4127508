"""The warm-up: real inputs until the latency is stable, or until the time is up; and an honest report."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

import bundle_factory as factory
import numpy as np

import daenr_export
from daenr_export.runtime.protocol import Bound
from daenr_export.runtime.realtime.warm_up import BLOCK, WarmUpReport, warm_up

INPUTS = tuple(np.full((1, 2), value, np.float32) for value in (1, 2, 3))


class Engine:
    """Takes as long as it is told, on a clock of its own."""

    def __init__(self, durations_ns: Iterator[int]) -> None:
        self.now = 0
        self.seen: list[float] = []
        self._durations = durations_ns
        self.bound = Bound(np.zeros((1, 2), np.float32), (), self._run)

    def _run(self) -> None:
        self.seen.append(float(self.bound.input[0, 0]))
        self.now += next(self._durations)

    def warm_up(self, at_most_s: float = 1.0) -> WarmUpReport:
        return warm_up(self.bound, INPUTS, at_most_s=at_most_s, clock_ns=lambda: self.now)


def blocks(*durations_ns: int) -> Iterator[int]:
    return chain.from_iterable(repeat(duration, BLOCK) for duration in durations_ns)


def test_a_steady_engine_needs_three_blocks_of_different_inputs() -> None:
    engine = Engine(repeat(1000))
    assert engine.warm_up() == WarmUpReport(3 * BLOCK, 1000, True, (1000,) * BLOCK)
    assert engine.seen == [1 + run % 3 for run in range(3 * BLOCK)]


def test_an_engine_that_becomes_faster_is_run_until_it_no_longer_does() -> None:
    report = Engine(blocks(9000, 5000, 3000, 2000, 1040, 1000, 1040)).warm_up()
    assert report == WarmUpReport(7 * BLOCK, 1040, True, (1040,) * BLOCK)


def test_a_first_run_that_takes_seconds_is_not_the_end() -> None:
    report = Engine(chain([900_000_000], repeat(1000))).warm_up()
    assert report.stable
    assert report.runs == 3 * BLOCK


def test_an_engine_that_never_settles_is_given_up_and_reported() -> None:
    engine = Engine(iter(lambda: 1_000_000 if len(engine.seen) // BLOCK % 2 else 2_000_000, None))
    report = engine.warm_up()
    assert not report.stable
    assert 1e9 <= engine.now < 1.2e9
    assert report.runs == len(engine.seen)


def test_one_block_is_run_at_least() -> None:
    report = Engine(repeat(10**9)).warm_up(at_most_s=0.5)
    assert report == WarmUpReport(BLOCK, 10**9, False, (10**9,) * BLOCK)


def test_a_session_was_run_on_the_images_of_its_bundle(tmp_path: Path) -> None:
    path = factory.make_bundle(tmp_path / "a.daenr")
    with daenr_export.load(path, backend="onnxruntime") as model, model.realtime() as rt:
        assert any(np.array_equal(rt._input[0], image) for image in model.golden["image"])
        assert rt.warm_up_report.runs % BLOCK == 0
