"""What a reader has to know of a result's figures before trusting them, a line for each kind of thing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from daenr_bench.measurement import Measurement, State
from daenr_bench.overhead import OF_THE_MACHINE, WAKING
from daenr_bench.result import Accuracy, Entrant, Overhead, Result, Skip
from daenr_bench.standard import Standard

UNSTEADY = 1.5
"""Rounds whose medians differ by more than this factor are pointed out."""


def notes(result: Result) -> Iterator[str]:
    """What figures mean, what is wrong, what limits the trust in them, and what is missing."""
    yield (
        "latency of single images, host to host; percentiles by nearest rank; at most: the true p99, with 99 % "
        "confidence; parity: largest error over the largest answer of the reference, at any batch size"
    )
    yield from map(_overhead, result.overhead, result.overhead.values())
    yield from _peers(result.entrants)
    for accuracy in result.accuracy:
        yield from (f"WRONG {_subject(accuracy)}: {problem}" for problem in accuracy.problems)
    for measurement in result.measurements:
        word = {State.FAULT.value: "FAULT", State.FAIL.value: "WRONG"}.get(measurement.state, "note:")
        yield from (f"{word} {_full_subject(measurement)}: {problem}" for problem in measurement.problems)
    if result.standard is not None:
        yield from _references(result.standard)
    yield from _remarks(result.measurements)
    if result.clock.wall_clock_step_s:
        step_s = result.clock.wall_clock_step_s
        yield f"note: the wall clock was set by {step_s:+.3f} s meanwhile; no figure depends on it"
    yield from _skips(result.skipped)


def _overhead(loop: str, overhead: Overhead) -> str:
    if loop == WAKING:
        p50_us, p99_us = overhead.p50_ns / 1000, overhead.p99_ns / 1000
        return f"paced, with no engine at all: p50 {p50_us:.1f} µs, p99 {p99_us:.1f} µs; {OF_THE_MACHINE}"
    figures = f"p50 {overhead.p50_ns} ns, p99 {overhead.p99_ns} ns"
    return f"of which the harness itself in {loop}: {figures} for each call, copying the image included"


def _references(standard: Standard) -> Iterator[str]:
    """What was compared with, beside the golden file."""
    recording, reference = standard.recording, standard.reference
    if recording is not None and not recording.is_the_models:
        yield f"note: the recording of {recording.region} is not number by number the one that the model was fitted to"
    if reference is None:
        return
    graphs = ", ".join(f"{graph} by {backend}" for graph, backend in reference.backends.items())
    yield f"note: answers are compared with those of {reference.file} ({graphs}) of {reference.started_at}"
    for speed in reference.speeds:
        yield (
            f"context: there, {speed.backend} took {speed.p50_ns / 1000:.1f} µs (p50) for {speed.graph} in "
            f"{speed.scenario}, on {reference.machine.processor}"
        )
    yield f"faster or slower than the reference: {reference.speed_verdict}: {reference.speed_reason}"


def _peers(entrants: Sequence[Entrant]) -> Iterator[str]:
    """How each was run, and who says so."""
    for entrant in entrants:
        if entrant.is_peer:
            threads = "" if entrant.threads is None else f"{entrant.threads} thread{'s' * (entrant.threads > 1)}, "
            slowest_s = max(entrant.opening_s.values())
            opened = f"opened in {slowest_s:.1f} s" if slowest_s >= 1 else f"opened in {slowest_s * 1e3:.0f} ms"
            yield f"peer {entrant.backend}: {entrant.settings}; {threads}{opened} ({entrant.documentation})"


def _remarks(measurements: Sequence[Measurement]) -> Iterator[str]:
    """What limits the trust in the figures."""
    cold = [m for m in measurements if m.warm_up is not None and not m.warm_up.settled]
    if cold:
        names = ", ".join(map(_full_subject, cold))
        yield f"note: not yet steady after the warm-up ({len(cold)} of {len(measurements)}): {names}"
    drifts = {_full_subject(m): drift for m in measurements if (drift := _spread_of_medians(m)) is not None}
    unsteady = [name for name, drift in drifts.items() if drift > UNSTEADY]
    if unsteady:
        worst = max(unsteady, key=lambda name: drifts[name])
        yield (
            f"note: medians of rounds differ by more than a factor of {UNSTEADY} on {len(unsteady)} of {len(drifts)} "
            f"(most on {worst}, {drifts[worst]:.1f}): something else is running, or the clock changes"
        )
    refusals = {
        f"{name} ({percentile.refused})": None
        for m in measurements
        if m.latency is not None
        for name, percentile in m.latency.percentiles.items()
        if percentile.refused and name in ("p50", "p99")
    }
    if refusals:
        yield f"note: refused: {', '.join(refusals)}"


def _spread_of_medians(measurement: Measurement) -> float | None:
    """Largest over smallest median of the blocks."""
    medians_ns = [block.p50_ns for block in measurement.blocks if block.p50_ns is not None]
    return max(medians_ns) / max(min(medians_ns), 1) if medians_ns else None


def _skips(skipped: Sequence[Skip]) -> Iterator[str]:
    """A line for each reason."""
    by_reason: dict[str, list[str]] = {}
    for skip in skipped:
        subject = skip.backend if skip.graph is None else f"{skip.graph} on {skip.backend}"
        by_reason.setdefault(skip.reason.removeprefix(f"{skip.backend}: "), []).append(subject)
    yield from (f"skipped {', '.join(subjects)}: {reason}" for reason, subjects in by_reason.items())


def _subject(of: Measurement | Accuracy) -> str:
    return f"{of.graph} on {of.backend}"


def _full_subject(measurement: Measurement) -> str:
    return f"{_subject(measurement)} ({measurement.scenario})"
