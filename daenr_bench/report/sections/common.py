"""What sections share: names of scenarios, cells of tables, scales of time."""

from __future__ import annotations

from collections.abc import Iterable

from daenr_bench.measurement import Latency, Measurement
from daenr_bench.report import words
from daenr_bench.report.blocks import Cell, Mark
from daenr_bench.report.drawing.scales import Scale, around
from daenr_bench.report.source import Source
from daenr_common.verdict import Verdict

SCENARIOS = {
    "paced": "paced",
    "paced-warm": "paced, kept warm",
    "burst": "burst",
    "soak": "soak",
    "throughput": "throughput",
    "cold": "cold start",
    "loadgen-single-stream": "LoadGen SingleStream",
    "loadgen-offline": "LoadGen Offline",
}
"""Names for readers, in the order in which they are shown."""

KINDS = {Verdict.PASS: "pass", Verdict.FAIL: "fail", Verdict.CANNOT_TELL: "cannot-tell"}
"""How verdicts are called in the page's style."""


def named(scenario: str) -> str:
    """A scenario's name for readers."""
    return SCENARIOS.get(scenario, scenario)


def mark(word: str, verdict: Verdict) -> Mark:
    """A verdict for a cell."""
    return Mark(word, KINDS[verdict])


def state(m: Measurement) -> Cell:
    """How a measurement ended. It says nothing on deadlines: the verdicts do."""
    if m.state == "pass":
        return mark("complete", Verdict.PASS) if m.complete else mark("incomplete", Verdict.CANNOT_TELL)
    word = {"fail": "wrong answers", "fault": "died"}.get(m.state, m.state)
    return mark(word, Verdict.CANNOT_TELL if word == m.state else Verdict.FAIL)


def times(label: str, values_ns: Iterable[float]) -> Scale:
    """A logarithmic scale of nanoseconds that has a place for all values; its ticks name their unit."""
    return around(label, values_ns, words.time, is_log=True)


def p(latency: Latency | None, name: str) -> int | None:
    """A percentile in nanoseconds; None if it was refused or there is no latency."""
    found = latency.percentiles.get(name) if latency is not None else None
    return found.value_ns if found is not None else None


def bound(latency: Latency | None, name: str) -> int | None:
    """The upper bound of a percentile."""
    found = latency.percentiles.get(name) if latency is not None else None
    return found.upper_bound_ns if found is not None else None


def legend(source: Source, backends: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Backends with the class of their line, in the order of the result."""
    shown = set(backends)
    return tuple((source.style(name), name) for name in source.backends if name in shown)
