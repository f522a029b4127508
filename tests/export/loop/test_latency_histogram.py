"""Percentiles in constant memory, against those of the benchmark."""

from __future__ import annotations

import numpy as np
import pytest

from daenr_bench.statistics.percentiles import min_samples, nearest_rank
from daenr_export.loop.histogram import FEWEST, LatencyHistogram


def filled(latencies) -> LatencyHistogram:
    histogram = LatencyHistogram()
    for latency in latencies:
        histogram.add(int(latency))
    return histogram


@pytest.mark.parametrize("level", FEWEST)
@pytest.mark.parametrize("count", [662, 663, 1000, 4321])
def test_a_percentile_is_that_of_the_sample_rounded_up_by_less_than_a_64th(level, count) -> None:
    sample = np.random.default_rng(count).lognormal(12, 3, count).astype(np.int64)
    exact = nearest_rank(np.sort(sample), level)
    assert exact <= filled(sample).percentile(level) <= exact * (1 + 1 / 64)


def test_every_latency_is_rounded_up_by_less_than_a_64th() -> None:
    for bits in range(63):
        for value in {1 << bits, (1 << bits) + 1, (1 << (bits + 1)) - 1}:
            known = filled([value] * 11).percentile(0.5)
            assert value <= known <= value * (1 + 1 / 64)


def test_small_and_negative_latencies() -> None:
    assert filled([-5] * 11).percentile(0.5) == 0
    assert filled([0] * 11).percentile(0.5) == 0
    assert filled([127] * 11).percentile(0.5) == 127


def test_below_the_smallest_sample_that_tells_there_is_no_percentile() -> None:
    assert {level: min_samples(level) for level in FEWEST} == FEWEST
    for level, fewest in FEWEST.items():
        assert filled([5] * (fewest - 1)).percentile(level) is None
        assert filled([5] * fewest).percentile(level) == 5
