"""MLPerf's LoadGen, the real one, on engines of known time: its opinion and ours agree."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bench_factory import FakeBackend, FakeClock

from daenr_bench.clocks import SYSTEM_CLOCK
from daenr_bench.measurement import LoadGenRun, Measurement
from daenr_bench.scenarios.burst import Burst
from daenr_bench.scenarios.loadgen import Offline, SingleStream, read_summary
from daenr_bench.scenarios.throughput import Throughput
from daenr_bench.scenarios.tracks import Outcome
from daenr_common.errors import DaenrError

pytest.importorskip("mlperf_loadgen", reason="mlcommons-loadgen is not installed")

Measure = Callable[..., Outcome]

QUICK = 50


def sleeping(latency_ms: float) -> Callable[[int, int], int]:
    """An engine that really takes its time, and no processor; what it returns is for the fake clock."""

    def latency_ns(_: int, __: int) -> int:
        time.sleep(latency_ms / 1000)
        return 0

    return latency_ns


def only(outcome: Outcome) -> Measurement:
    (measurement,) = outcome.measurements
    return measurement


@pytest.mark.parametrize("scenario", [SingleStream(200, QUICK), Offline(200, QUICK)])
def test_loadgen_runs_and_its_summary_is_read(
    measure: Measure, shared_timed_bundle: Path, scenario: SingleStream | Offline, capfd: pytest.CaptureFixture[str]
) -> None:
    backend = FakeBackend(shared_timed_bundle, FakeClock(), sleeping(0.2))
    measurement = only(measure(scenario, SYSTEM_CLOCK, backend))
    assert (measurement.state, measurement.scenario) == ("pass", scenario.name)
    assert measurement.timed_answers_compared >= 8
    run = measurement.loadgen
    assert run is not None
    assert run.scenario == scenario.mlperf_name
    assert run.samples >= 200
    assert run.samples_per_s <= 5000 * 1.001
    if isinstance(scenario, SingleStream):
        assert run.percentiles_ns["p50"] >= 200_000
        assert run.upper_bounds_ns["p90"] >= run.percentiles_ns["p90"]
    else:
        assert run.percentiles_ns == {}
    assert capfd.readouterr().out == ""


def test_wrong_answers_fail_and_errors_are_faults(measure: Measure, shared_timed_bundle: Path) -> None:
    wrong = FakeBackend(shared_timed_bundle, FakeClock(), spoil=lambda number, answer: answer + (number >= 8))
    failed = only(measure(SingleStream(200, QUICK), SYSTEM_CLOCK, wrong))
    assert (failed.state, failed.loadgen) == ("fail", None)

    def lost(number: int, answer: np.ndarray) -> np.ndarray:
        if number > 1200:  # the warm-up has a thousand calls at most
            raise RuntimeError("the device is lost")
        return answer

    dying = FakeBackend(shared_timed_bundle, FakeClock(), spoil=lost)
    died = only(measure(SingleStream(2000, QUICK), SYSTEM_CLOCK, dying))
    assert (died.state, died.loadgen) == ("fault", None)
    assert "the device is lost" in died.problems[0]


class Noting:
    """An engine that sleeps, and notes how long each call really took: the truth that both have to tell."""

    def __init__(self, latency_ms: float) -> None:
        self.seen_ns: list[int] = []
        self._engine = sleeping(latency_ms)

    def __call__(self, number: int, now_ns: int) -> int:
        start_ns = time.perf_counter_ns()
        self._engine(number, now_ns)
        self.seen_ns.append(time.perf_counter_ns() - start_ns)
        return 0


SLACK_NS = 500_000
"""What the session and the fake's look-up in the golden file take around a sleep of 5 ms, on a busy machine."""


@pytest.mark.alone
def test_single_stream_agrees_with_our_burst(measure: Measure, shared_timed_bundle: Path) -> None:
    engine = Noting(5)
    backend = FakeBackend(shared_timed_bundle, FakeClock(), engine)
    # One round, so that the last calls that the engine saw are those that were timed.
    ours = only(measure(Burst(samples=200, rounds=1), SYSTEM_CLOCK, backend)).latency
    assert ours is not None
    for name, level in (("p50", 0.5), ("p90", 0.9)):
        truth_ns = np.quantile(engine.seen_ns[-200:], level)
        assert ours.percentiles[name].value_ns == pytest.approx(truth_ns, abs=SLACK_NS)
    theirs = only(measure(SingleStream(200, 300), SYSTEM_CLOCK, backend)).loadgen
    assert theirs is not None
    assert theirs.valid
    for name, level in (("p50", 0.5), ("p90", 0.9)):
        truth_ns = np.quantile(engine.seen_ns[-theirs.samples :], level)
        assert theirs.percentiles_ns[name] == pytest.approx(truth_ns, abs=SLACK_NS)
    assert theirs.percentiles_ns["p50"] == pytest.approx(ours.percentiles["p50"].value_ns, rel=0.1)


@pytest.mark.alone
def test_offline_agrees_with_our_throughput(measure: Measure, shared_timed_bundle: Path) -> None:
    """Ours is the median call, and LoadGen's the mean: it divides by the whole time."""
    engine = Noting(5)
    backend = FakeBackend(shared_timed_bundle, FakeClock(), engine)
    ours = only(measure(Throughput(batches=(1,), block_ns=200_000_000), SYSTEM_CLOCK, backend)).throughput
    assert ours is not None
    (point,) = ours.points
    assert 1e9 / point.images_per_s == pytest.approx(np.median(engine.seen_ns[-point.calls :]), abs=SLACK_NS)
    theirs = only(measure(Offline(200, 300), SYSTEM_CLOCK, backend)).loadgen
    assert theirs is not None
    seen_ns = engine.seen_ns[-theirs.samples :]
    assert 1e9 / theirs.samples_per_s == pytest.approx(np.mean(seen_ns), abs=2 * SLACK_NS)
    # On a machine with nothing beside it, mean and median are the same.
    assert theirs.samples_per_s == pytest.approx(
        point.images_per_s, rel=0.1 + np.mean(seen_ns) / np.median(seen_ns) - 1
    )


SUMMARY = """\
SUT name : PySUT
Scenario : SingleStream
Mode     : PerformanceOnly
90.0th percentile latency (ns) : 196733
Result is : INVALID
  Min duration satisfied : NO
Early Stopping Result:
 * Processed at least 64 queries (1001).
 * Would discard 77 highest latency queries.
 * Early stopping 90.0th percentile estimate: 200218
 * Early stopping 99.0th percentile estimate: 6679883

QPS w/ loadgen overhead         : 3763.53
QPS w/o loadgen overhead        : 3824.11

50.00 percentile latency (ns)   : 183774
90.00 percentile latency (ns)   : 196733
95.00 percentile latency (ns)   : 207569
97.00 percentile latency (ns)   : 223643
99.00 percentile latency (ns)   : 3959423
99.90 percentile latency (ns)   : 7014871
samples_per_query : 1
"""


def test_a_summary_of_loadgen_6() -> None:
    run = read_summary(SUMMARY)
    assert run == LoadGenRun(
        version=run.version,
        scenario="SingleStream",
        valid=False,
        samples=1001,
        percentiles_ns={"p50": 183774, "p90": 196733, "p95": 207569, "p99": 3959423, "p99.9": 7014871},
        upper_bounds_ns={"p90": 200218, "p99": 6679883},
        samples_per_s=3824.11,
    )


def test_another_file_is_no_summary() -> None:
    with pytest.raises(DaenrError, match="LoadGen's summary: lacks its scenario"):
        read_summary("SUT name : PySUT\n")
