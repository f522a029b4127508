"""A result as a table for a terminal or a log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from daenr_bench.measurement import Measurement, State
from daenr_bench.result import Accuracy, Result, Skip
from daenr_common.cli import print_table
from daenr_export.graphs.names import in_order

NONE = "–"

UNSTEADY = 1.5
"""Rounds whose medians differ by more than this factor are pointed out."""


def print_result(result: Result) -> None:
    """Print what was measured, what was skipped, and what to think of the figures."""
    reference = result.reference_backend
    headers = ["graph", "backend", "in", "parity", "p50 µs", "p99 µs", "at most", "N", f"× {reference or 'faster'}"]
    print_table(headers, _rows(result))
    for line in _notes(result):
        click.echo(line)
    end = "" if result.complete else " (interrupted: not all was measured)"
    click.echo(f"\n{result.bundle.name}: {result.verdict.value}{end}")


def _rows(result: Result) -> Iterator[list[str]]:
    """By graph, and on each graph in the order of the backends."""
    measured = {(m.graph, m.backend): m for m in result.measurements}
    by_graph: dict[str, list[Accuracy]] = {}
    for accuracy in result.accuracy:
        by_graph.setdefault(accuracy.graph, []).append(accuracy)
    for graph in in_order(by_graph):
        for accuracy in by_graph[graph]:
            yield _row(accuracy, measured.get((graph, accuracy.backend)))


def _row(accuracy: Accuracy, measurement: Measurement | None) -> list[str]:
    head = [accuracy.graph, accuracy.backend, accuracy.precision]
    if accuracy.problems or (measurement is not None and measurement.state == State.FAIL.value):
        return [*head, "WRONG", *[NONE] * 5]
    if measurement is None or measurement.latency is None:
        return [*head, _parity(accuracy), *[NONE] * 5]
    latency = measurement.latency
    p50, p99 = latency.percentiles["p50"], latency.percentiles["p99"]
    faster = NONE if measurement.times_faster is None else f"{measurement.times_faster:.2f}"
    values = (p50.value_ns, p99.value_ns, p99.upper_bound_ns)
    return [*head, _parity(accuracy), *(_microseconds(value) for value in values), str(latency.n), faster]


def _parity(accuracy: Accuracy) -> str:
    errors = [metrics["max_error_over_scale"] for metrics in accuracy.parity.values() if len(metrics) > 1]
    return f"ok, {max(errors):.0e}" if errors else "ok"


def _microseconds(value_ns: int | None) -> str:
    return NONE if value_ns is None else f"{value_ns / 1000:.1f}"


def _notes(result: Result) -> Iterator[str]:
    overhead = result.overhead["burst"]
    yield (
        "latency of single images, host to host; percentiles by nearest rank; "
        "at most: the true p99, with 99 % confidence; parity: largest error over the largest golden answer"
    )
    yield f"of which the harness itself: p50 {overhead.p50_ns} ns, p99 {overhead.p99_ns} ns for each call"
    for accuracy in result.accuracy:
        yield from (f"WRONG {_subject(accuracy)}: {problem}" for problem in accuracy.problems)
    for measurement in result.measurements:
        word = "FAULT" if measurement.state == State.FAULT.value else "WRONG"
        yield from (f"{word} {_subject(measurement)}: {problem}" for problem in measurement.problems)
    yield from _remarks(result.measurements)
    yield from _skips(result.skipped)


def _remarks(measurements: Sequence[Measurement]) -> Iterator[str]:
    """What limits the trust in the figures, a line for each kind."""
    cold = [m for m in measurements if m.warm_up is not None and not m.warm_up.settled]
    if cold:
        names = ", ".join(map(_subject, cold))
        yield f"note: not yet steady after the warm-up ({len(cold)} of {len(measurements)}): {names}"
    timed = [m for m in measurements if m.latency is not None]
    drifts = {_subject(m): _drift(m) for m in timed}
    unsteady = [name for name, drift in drifts.items() if drift > UNSTEADY]
    if unsteady:
        worst = max(unsteady, key=lambda name: drifts[name])
        yield (
            f"note: medians of rounds differ by more than a factor of {UNSTEADY} on {len(unsteady)} of {len(timed)} "
            f"(most on {worst}, {drifts[worst]:.1f}): something else is running, or the clock changes"
        )
    refusals = {
        f"{name} ({percentile.refused})": None
        for m in timed
        if m.latency is not None
        for name, percentile in m.latency.percentiles.items()
        if percentile.refused and name in ("p50", "p99")
    }
    if refusals:
        yield f"note: refused: {', '.join(refusals)}"


def _drift(measurement: Measurement) -> float:
    """Largest over smallest median of the rounds."""
    medians_ns = [block.p50_ns for block in measurement.blocks if block.p50_ns is not None]
    return max(medians_ns) / max(min(medians_ns), 1)


def _skips(skipped: Sequence[Skip]) -> Iterator[str]:
    """A line for each reason."""
    by_reason: dict[str, list[str]] = {}
    for skip in skipped:
        subject = skip.backend if skip.graph is None else f"{skip.graph} on {skip.backend}"
        by_reason.setdefault(skip.reason.removeprefix(f"{skip.backend}: "), []).append(subject)
    yield from (f"skipped {', '.join(subjects)}: {reason}" for reason, subjects in by_reason.items())


def _subject(of: Measurement | Accuracy) -> str:
    return f"{of.graph} on {of.backend}"
