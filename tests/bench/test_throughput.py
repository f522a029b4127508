"""Images per second of engines whose time is known for every batch size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bench_factory import FakeBackend, FakeClock

from daenr_bench.measurement import ThroughputPoint
from daenr_bench.scenarios.throughput import Throughput, saturates_at
from daenr_bench.scenarios.tracks import Outcome

Measure = Callable[..., Outcome]

QUICK = Throughput(rounds=2, block_ns=5_000_000)


def test_images_per_second_are_the_batch_over_the_time_of_a_call(measure: Measure, shared_timed_bundle: Path) -> None:
    clock = FakeClock()
    backend = FakeBackend(shared_timed_bundle, clock, lambda *_: 100_000, per_image_ns=10_000)
    outcome = measure(QUICK, clock, backend)
    (measurement,) = outcome.measurements
    assert measurement.throughput is not None
    points = {point.batch: point for point in measurement.throughput.points}
    assert list(points) == [1, 2, 4, 8]  # the graph takes up to eight
    for batch, point in points.items():
        assert point.p50_ns == 100_000 + 10_000 * batch
        assert point.images_per_s == pytest.approx(batch / (100e-6 + 10e-6 * batch))
        assert point.calls == 2 * (5_000_000 // point.p50_ns)
        assert (outcome.arrays[measurement.samples[f"batch_{batch}_ns"]] == point.p50_ns).all()
    assert measurement.throughput.saturates_at is None
    assert measurement.timed_answers_compared == 2 * (1 + 2 + 4 + 8)  # a call of each size in each round
    assert measurement.latency is None


def test_an_engine_that_is_wrong_in_batches_only_fails(measure: Measure, shared_timed_bundle: Path) -> None:
    clock = FakeClock()

    def swapped(_: int, answer: np.ndarray) -> np.ndarray:
        return answer[::-1].copy() if len(answer) == 8 else answer

    (measurement,) = measure(QUICK, clock, FakeBackend(shared_timed_bundle, clock, spoil=swapped)).measurements
    assert measurement.state == "fail"
    assert "in timed calls: responses: error" in measurement.problems[0]
    assert measurement.throughput is None


def test_an_engine_that_dies_at_a_batch_size_keeps_the_sizes_before(
    measure: Measure, shared_timed_bundle: Path
) -> None:
    clock = FakeClock()

    def out_of_memory(_: int, answer: np.ndarray) -> np.ndarray:
        if len(answer) == 4:
            raise MemoryError("no memory on the device")
        return answer

    (measurement,) = measure(QUICK, clock, FakeBackend(shared_timed_bundle, clock, spoil=out_of_memory)).measurements
    assert measurement.state == "fault"
    assert "no memory on the device" in measurement.problems[0]
    assert measurement.throughput is not None
    assert [point.batch for point in measurement.throughput.points] == [1, 2]


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([100, 190, 300, 310], 4),
        ([100, 190, 380, 760], None),
        ([100, 99, 98, 97], 1),
        ([100, 400, 200, 100], 2),
        ([100], 1),
    ],
)
def test_where_it_saturates(rates: list[float], expected: int | None) -> None:
    points = [ThroughputPoint(2**index, 10, rate, 1) for index, rate in enumerate(rates)]
    assert saturates_at(points) == expected
    assert saturates_at([]) is None
