"""What was measured, as the result file says it: a graph on a backend in one scenario is one measurement.

Scenarios are never merged into one figure: each asks another question, and says where its clock starts and stops.
Times are in nanoseconds where a name ends in `_ns`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from daenr_bench.statistics.percentiles import Percentile
from daenr_common.verdict import Verdict


class State(Enum):
    """How a measurement ended."""

    PASS = "pass"
    """Measured, and the answers that were checked are right."""
    FAIL = "fail"
    """Answers of timed calls were wrong: there is no figure."""
    CANNOT_TELL = "cannot tell"
    """The run ended before there was anything to report, or this machine cannot measure it."""
    FAULT = "fault"
    """The backend died on the way; what was measured until then is kept."""

    @property
    def verdict(self) -> Verdict:
        """What it means for the whole result: a fault is a fail."""
        return Verdict.FAIL if self is State.FAULT else Verdict(self.value)


@dataclass(frozen=True)
class Histogram:
    """Counts of latencies in buckets that grow with them, as HdrHistogram makes them; empty buckets are left out.

    Attributes:
        significant_digits: to which a bucket knows a latency.
        low_ns: the smallest latency of each bucket, ascending.
        high_ns: the largest.
        counts: how many fell into it.
    """

    significant_digits: int
    low_ns: tuple[int, ...]
    high_ns: tuple[int, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Latency:
    """A sample of times.

    Attributes:
        n: how many were measured.
        unanswered: calls that were due and never answered. In the percentiles they count as slower than all others.
        min_ns: the fastest.
        mean_ns: over the `n`.
        max_ns: the slowest.
        percentiles: by name, e.g. `p99`.
        histogram: None in a result of schema version 1.
    """

    n: int
    unanswered: int
    min_ns: int
    mean_ns: float
    max_ns: int
    percentiles: dict[str, Percentile]
    histogram: Histogram | None


@dataclass(frozen=True)
class Block:
    """A stretch of a measurement, against the assumption that all its calls are alike.

    Attributes:
        start_s: when it began, in seconds since the scenario's start; None in a result of schema version 1.
        n: calls that were answered in it.
        p50_ns: their median; None where none was answered.
        p99_ns: None below the smallest sample that it needs.
        max_ns: None where none was answered.
        misses: deadlines that were missed; None where there is no deadline.
        rss_bytes: memory of the process at its end; None where it was not asked.
        histogram: in a soak, which keeps no raw samples; else None.
    """

    start_s: float | None
    n: int
    p50_ns: int | None
    p99_ns: int | None
    max_ns: int | None
    misses: int | None = None
    rss_bytes: int | None = None
    histogram: Histogram | None = None


@dataclass(frozen=True)
class WarmUp:
    """Calls before the first that was timed, and whether the latency had settled by then."""

    calls: int
    settled: bool


@dataclass(frozen=True)
class Device:
    """Time on the device, where a backend tells it (CUDA events): a second column, never in place of host to host."""

    timing_boundary: str
    latency: Latency


@dataclass(frozen=True)
class Paced:
    """Frames on a fixed schedule `due = t0 + k * period`, which no delay shifts. The newest frame wins.

    Attributes:
        rate_hz: of the schedule.
        period_ns: its inverse, as it was kept.
        deadline_ns: after the due instant.
        keep_warm: whether the engine ran while the loop waited.
        frames: that were due.
        late: answered after the deadline.
        skipped: never answered: a newer frame was due before their turn came.
        misses: both together.
        longest_run_of_misses: in frames.
        service: from the start of the call to its end: what the engine took.
        start_delay: from the due instant to the start of the call: what waiting and waking took.
        peak_age: age of the newest answered frame, counted from its due instant, right before the next answer.
        mean_age_ns: its average over time.
        allowed_share: of misses that the verdict allows.
        verdict: `pass` if at most this share of frames misses, with 99 % confidence; `fail` if more do; else
            `cannot tell`.
        reason: of the verdict.
        is_gate: whether this verdict counts in the result's verdict, because the deadline was asked for.
    """

    rate_hz: float
    period_ns: int
    deadline_ns: int
    keep_warm: bool
    frames: int
    late: int
    skipped: int
    misses: int
    longest_run_of_misses: int
    service: Latency
    start_delay: Latency
    peak_age: Latency | None
    mean_age_ns: float | None
    allowed_share: float
    verdict: str
    reason: str
    is_gate: bool


@dataclass(frozen=True)
class Spread:
    """A few repeats: too few for percentiles."""

    n: int
    min_ns: int
    median_ns: int
    max_ns: int


@dataclass(frozen=True)
class Cold:
    """From nothing to the first answer, each time in a new process.

    Attributes:
        repeats: processes.
        with_import: from the start of the process to the first answer.
        without_import: from the call that opens the bundle, with all packages imported, to the first answer.
        stages: by name, in their order; together they are `with_import`.
    """

    repeats: int
    with_import: Spread
    without_import: Spread
    stages: dict[str, Spread]


@dataclass(frozen=True)
class ThroughputPoint:
    """One batch size: how many calls, images per second at the median call, and that call's time."""

    batch: int
    calls: int
    images_per_s: float
    p50_ns: int


@dataclass(frozen=True)
class Throughput:
    """Images per second by batch size, one call after the other.

    Attributes:
        points: by ascending batch.
        saturates_at: the smallest batch that reaches `saturation_share` of the best; None if that is the last one, so
            that larger batches may be faster still.
        saturation_share: e.g. 0.95.
    """

    points: tuple[ThroughputPoint, ...]
    saturates_at: int | None
    saturation_share: float


@dataclass(frozen=True)
class Soak:
    """Whether anything changes over minutes to hours; the blocks are the time line.

    Attributes:
        planned_s: how long it was to last.
        measured_s: how long it lasted.
        drift: median over the last tenth of the blocks over that of the first tenth; None below ten blocks.
        rss_slope_bytes_per_hour: growth of the process, by the Theil-Sen estimator; None below three blocks.
    """

    planned_s: float
    measured_s: float
    drift: float | None
    rss_slope_bytes_per_hour: float | None


@dataclass(frozen=True)
class LoadGenRun:
    """What MLPerf's LoadGen says of the same session.

    Attributes:
        version: of mlcommons-loadgen.
        scenario: `SingleStream` or `Offline`.
        valid: whether LoadGen calls its own run valid.
        samples: queries' samples.
        percentiles_ns: by name; empty for Offline.
        upper_bounds_ns: its early-stopping estimates, by name; those that it prints.
        samples_per_s: its headline for Offline, derived from the mean for SingleStream.
    """

    version: str
    scenario: str
    valid: bool
    samples: int
    percentiles_ns: dict[str, int]
    upper_bounds_ns: dict[str, int]
    samples_per_s: float


@dataclass(frozen=True)
class Measurement:
    """A graph on a backend in one scenario.

    Attributes:
        graph: its name.
        backend: its name.
        scenario: `burst`, `paced`, `paced-warm`, `cold`, `throughput`, `soak`, `loadgen-single-stream`,
            `loadgen-offline`.
        timing_boundary: where the clock starts and stops, in words.
        state: a value of `State`.
        complete: false if it was cut short, by Ctrl-C or by a fault.
        problems: what was wrong.
        timed_answers_compared: how many answers of timed calls were compared with the golden ones.
        warm_up: None if there was none.
        latency: of a call; None where it is not the question, or nothing was measured.
        blocks: of the latency, in the order of time.
        times_faster: median of the same graph and scenario on the reference backend over this one's.
        samples: what is in the npz: by name of an array, e.g. `latency_ns`, the key that it has there.
        device: only where a backend tells its own time.
        paced: only in `paced`, `paced-warm` and `soak`.
        cold: only in `cold`.
        throughput: only in `throughput`.
        soak: only in `soak`.
        loadgen: only in `loadgen-…`.
    """

    graph: str
    backend: str
    scenario: str
    timing_boundary: str
    state: str
    complete: bool
    problems: tuple[str, ...]
    timed_answers_compared: int = 0
    warm_up: WarmUp | None = None
    latency: Latency | None = None
    blocks: tuple[Block, ...] = ()
    times_faster: float | None = None
    samples: dict[str, str] = field(default_factory=dict)
    device: Device | None = None
    paced: Paced | None = None
    cold: Cold | None = None
    throughput: Throughput | None = None
    soak: Soak | None = None
    loadgen: LoadGenRun | None = None

    @property
    def median_ns(self) -> int | None:
        """What the same scenario on another backend is compared by: the median call, or the median start."""
        if self.cold is not None:
            return self.cold.with_import.median_ns
        return None if self.latency is None else self.latency.percentiles["p50"].value_ns

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What it has to say on the whole result's verdict."""
        state = State(self.state).verdict
        return (state, Verdict(self.paced.verdict)) if self.paced is not None and self.paced.is_gate else (state,)
