"""The device's own time as the second column: on a session that tells it, with known times of both clocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from bench_factory import FakeBackend, FakeClock

from daenr_bench import Plan, benchmark
from daenr_bench.report.sections.latency import distributions
from daenr_bench.report.source import Source
from daenr_bench.scenarios.burst import Burst
from daenr_bench.scenarios.paced import Paced, PacedWarm
from daenr_bench.scenarios.pacing import Pace
from daenr_bench.scenarios.tracks import Outcome
from daenr_bench.table import print_result
from daenr_export.runtime.protocol import GraphSource, TimedBound
from daenr_export.runtime.session import CallSession

HOST_NS, DEVICE_NS, MARKING_NS = 100_000, 30_000, 5_000


class TimedSession:
    """A session whose device takes a known time, and the first timed run after others much longer."""

    device_boundary = "on the device, as the test says"

    def __init__(self, session: CallSession, clock: FakeClock) -> None:
        self._session, self._clock = session, clock
        self._others_ran = True

    def __getattr__(self, name: str) -> object:
        return getattr(self._session, name)

    def __enter__(self) -> TimedSession:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def bind(self, batch: int) -> object:
        return self._noting(batch, timed=False).bound

    def bind_timed(self, batch: int) -> TimedBound:
        return self._noting(batch, timed=True)

    def _noting(self, batch: int, *, timed: bool) -> TimedBound:
        bound, last = self._session.bind(batch), Last()

        def run() -> None:
            bound.run()
            if timed:
                self._clock.now_ns += MARKING_NS
                last.ns = DEVICE_NS if not self._others_ran else 50 * DEVICE_NS
            self._others_ran = not timed

        return TimedBound(type(bound)(bound.input, bound.outputs, run), lambda: last.ns)


@dataclass
class Last:
    ns: int = 0


class TimedBackend(FakeBackend):
    def open(self, graph: GraphSource) -> CallSession:
        return TimedSession(super().open(graph), self._clock)  # type: ignore[return-value]


Measure = Callable[..., Outcome]


def timed(bundle: Path, clock: FakeClock) -> TimedBackend:
    return TimedBackend(bundle, clock, lambda *_: HOST_NS, name="timed")


@pytest.mark.parametrize("plan", [Burst(samples=700), Paced(Pace(1000.0))])
def test_both_columns_are_measured_and_neither_spoils_the_other(
    measure: Measure, shared_timed_bundle: Path, plan: Burst | Paced
) -> None:
    clock = FakeClock()
    outcome = measure(plan, clock, timed(shared_timed_bundle, clock), FakeBackend(shared_timed_bundle, clock))
    measured, plain = outcome.measurements
    assert measured.latency is not None
    assert measured.latency.max_ns == HOST_NS  # without the time that marking the stream takes
    assert measured.device is not None
    assert measured.device.timing_boundary == "on the device, as the test says"
    # The first run of each block, in which a graph would be captured anew, is not counted.
    assert (measured.device.latency.n, measured.device.latency.max_ns) == (700, DEVICE_NS)
    assert measured.device.latency.percentiles["p99"].value_ns == DEVICE_NS
    np.testing.assert_array_equal(outcome.arrays[measured.samples["device_ns"]], np.full(700, DEVICE_NS))
    assert plain.device is None
    assert "device_ns" not in plain.samples


def test_a_loop_kept_warm_has_no_second_column(measure: Measure, shared_timed_bundle: Path) -> None:
    """It runs in a real-time session, which does not hand out its engine."""
    clock = FakeClock()
    (cell,) = measure(Burst(samples=20), clock, timed(shared_timed_bundle, clock)).measurements
    assert cell.device is not None
    (cell,) = measure(PacedWarm(Pace(1000.0), samples=20), clock, timed(shared_timed_bundle, clock)).measurements
    assert (cell.problems, cell.device) == ((), None)


def test_it_is_printed_and_on_the_page(shared_timed_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clock = FakeClock()
    report = benchmark(
        shared_timed_bundle,
        backends=[timed(shared_timed_bundle, clock)],
        graphs=["responses"],
        plan=Plan((Burst(samples=700),)),
        clock=clock,
    )
    print_result(report.result)
    printed = capsys.readouterr().out
    assert "\nby the device's own clock, as the test says\n" in printed
    (row,) = [line for line in printed.splitlines() if line.startswith("responses  timed      burst")]
    assert row.split()[3:] == ["30.0", "30.0", "700", "100.0"]
    section = distributions(Source(report.result, report.samples, None))
    assert section is not None
    table = next(block for block in section.blocks if getattr(block, "caption", "") == "Time on the device")
    assert table.rows[0][3:6] == ("30.0", "30.0", "100.0")


def test_without_any_nothing_is_printed(shared_timed_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clock = FakeClock()
    backend = FakeBackend(shared_timed_bundle, clock)
    plan = Plan((Burst(samples=20),))
    print_result(benchmark(shared_timed_bundle, backends=[backend], plan=plan, clock=clock).result)
    assert "device's own clock" not in capsys.readouterr().out
