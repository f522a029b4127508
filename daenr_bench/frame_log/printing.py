"""The summary of a frame log for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

import click

from daenr_bench.frame_log.stages import Stage
from daenr_bench.frame_log.summary import Ids, Summary
from daenr_bench.frame_log.wall_clock import WallClock
from daenr_common.cli import print_table

_NONE = "–"
_SHOWN = ("p50", "p90", "p99", "p99.9")


def print_summary(summary: Summary) -> None:
    """Print what the log says, with its verdict last."""
    for line in _head(summary):
        click.echo(line)
    click.echo()
    headers = ["stage", "frames", *(f"{name} ms" for name in _SHOWN), "max ms"]
    print_table(headers, [_row(name, stage) for name, stage in summary.stages.items()])
    for line in _notes(summary):
        click.echo(line)
    click.echo(f"\n{summary.file}: {summary.verdict} ({summary.reason})")


def _head(summary: Summary) -> Iterator[str]:
    run = summary.run
    deadline = "no deadline" if run.deadline_ns is None else f"deadline {run.deadline_ns / 1e6:g} ms"
    opened = f", opened {summary.wall_clock.opened_at}" if summary.wall_clock.opened_at else ""
    yield f"graph {run.graph}, policy {run.policy}, {deadline}{opened}"
    rate = "" if summary.frames_per_second is None else f", {summary.frames_per_second:.2f} per second"
    seconds = "" if summary.seconds is None else f" in {summary.seconds:.3f} s{rate}"
    fates = ", ".join(f"{count} {status}" for status, count in summary.by_status.items())
    yield f"{summary.frames} frames{seconds}: {fates}"
    yield f"deadline misses: {summary.deadline_misses}; most frames in a row not ok: {summary.longest_run_unanswered}"


def _row(name: str, stage: Stage) -> list[str]:
    shown = [stage.percentiles[level].value_ns for level in _SHOWN]
    return [name.replace("_", " "), str(stage.n), *(_milliseconds(value) for value in (*shown, stage.max_ns))]


def _milliseconds(value_ns: int | None) -> str:
    return _NONE if value_ns is None else f"{value_ns / 1e6:.3f}"


def _notes(summary: Summary) -> Iterator[str]:
    by_frames = sorted(summary.stages.values(), key=lambda stage: stage.n)
    refused = {level: f"{level} ({reason})" for stage in by_frames for level, reason in _refusals(stage)}
    if refused:
        yield f"note: refused: {', '.join(refused[level] for level in _SHOWN if level in refused)}"
    ran = ", ".join(f"{name} {count}" for name, count in summary.backends.frames.items())
    yield f"backends: {ran or 'none ran'}; switches: {summary.backends.switches}"
    yield f"frames with a garbage collection: {summary.gc_frames}"
    yield f"ids: {_ids(summary.ids)}"
    yield f"wall clock: {_clock(summary.wall_clock)}"
    if summary.captured_after_arrival:
        yield (
            f"warning: {summary.captured_after_arrival} frames were captured after they arrived: "
            "the source's time stamps are not of time.monotonic_ns, and ages mean nothing"
        )
    if summary.write_error:
        yield f"warning: {summary.write_error}"


def _refusals(stage: Stage) -> list[tuple[str, str]]:
    found = [(level, stage.percentiles[level].refused) for level in _SHOWN]
    return [(level, reason) for level, reason in found if stage.n and reason is not None]


def _ids(ids: Ids) -> str:
    if ids.first is None:
        return "none"
    if ids.contiguous:
        return f"{ids.first} to {ids.last}, contiguous"
    return f"{ids.first} to {ids.last}, {ids.missing} missing, {ids.repeated} repeated, {ids.out_of_order} out of order"


def _clock(clock: WallClock) -> str:
    if clock.anchors < 2:
        return "was not read often enough to tell"
    drift = f"drifted {clock.drift_ns / 1e6:.3f} ms from the monotonic clock"
    if not clock.steps:
        return f"did not jump, {drift}"
    jumps = ", ".join(f"{step.by_ns / 1e6:+.1f} ms after {step.after_s:.0f} s" for step in clock.steps[:5])
    more = f" and {len(clock.steps) - 5} more" if len(clock.steps) > 5 else ""
    return f"JUMPED (or the machine slept): {jumps}{more}; apart from that {drift}"
