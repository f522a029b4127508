"""Whether anything changes over a long time, and what MLPerf's LoadGen says of the same session."""

from __future__ import annotations

from daenr_bench.measurement import Block, Measurement
from daenr_bench.report import words
from daenr_bench.report.blocks import Cell, Column, Panel, Panels, Section, Table, numbers
from daenr_bench.report.drawing.chart import Chart
from daenr_bench.report.drawing.scales import Scale, around
from daenr_bench.report.drawing.thinning import columns
from daenr_bench.report.sections.common import mark, named, p, state, times
from daenr_bench.report.source import Source
from daenr_common.verdict import Verdict

_POINTS = 240


def soak(source: Source) -> Section | None:
    """Latency by blocks and memory, over minutes to hours."""
    measured = [m for m in source.of("soak") if m.soak is not None]
    if not measured:
        return None
    panels = [panel for m in measured for panel in _panels(source, m)]
    rows: list[tuple[Cell, ...]] = []
    for m in measured:
        assert m.soak is not None
        slope = m.soak.rss_slope_bytes_per_hour
        rows.append(
            (
                f"{m.graph} on {m.backend}", words.duration(m.soak.measured_s), words.duration(m.soak.planned_s),
                words.NONE if m.soak.drift is None else f"{m.soak.drift:.3f}",
                words.NONE if slope is None else f"{words.size(slope)}",
                words.NONE if m.paced is None else f"{words.count(m.paced.misses)} of {words.count(m.paced.frames)}",
                state(m),
            )
        )  # fmt: skip
    heads = numbers("measured", "planned", "drift", "memory growth per hour", "misses")
    lead = "Whether it stays as it is: drift is the median latency at the end over that at the beginning."
    caption = "Lines are the median, p99 and the slowest call of each block, from bottom to top."
    legend = (("median", "median"), ("p99", "p99"), ("worst", "slowest"))
    table = Table("Soak in figures", (Column("engine"), *heads, Column("state")), tuple(rows))
    blocks = (Panels(caption, tuple(panels), legend), table) if panels else (table,)
    return Section("soak", "Soak", lead, blocks)


def _panels(source: Source, m: Measurement) -> list[Panel]:
    blocks = [block for block in m.blocks if block.start_s is not None and block.p50_ns is not None]
    if not blocks:
        return []
    name = f"{m.graph} on {m.backend}"
    panels = [Panel(f"{name}: latency", _latency(m, blocks))]
    with_rss = [(block.start_s or 0.0, block.rss_bytes) for block in blocks if block.rss_bytes is not None]
    if with_rss:
        panels.append(Panel(f"{name}: memory", _memory(source, m, with_rss)))
    return panels


def _time(end_s: float) -> Scale:
    # Ticks are round in the unit that is shown.
    unit = {3600.0: "h", 60.0: "min", 1.0: "s"}[_seconds(end_s)]
    return Scale(f"time, {unit}", 0.0, max(end_s, 1.0) / _seconds(end_s), words.plain)


def _seconds(end_s: float) -> float:
    """Of the unit in which a time line is labelled."""
    return 3600.0 if end_s > 7200 else 60.0 if end_s > 120 else 1.0


def _latency(m: Measurement, blocks: list[Block]) -> Chart:
    end_s = max(block.start_s or 0.0 for block in blocks)
    lines = {
        "median": [(block.start_s or 0.0, block.p50_ns) for block in blocks],
        "p99": [(block.start_s or 0.0, block.p99_ns) for block in blocks],
        "worst": [(block.start_s or 0.0, block.max_ns) for block in blocks],
    }
    values = [value for line in lines.values() for _, value in line if value is not None]
    y = times("latency (logarithmic)", [*values, *([m.paced.deadline_ns] if m.paced is not None else [])])
    chart = Chart(f"Soak of {m.graph} on {m.backend}", f"{len(blocks)} blocks.", _time(end_s), y, height=200, left=56)
    if m.paced is not None:
        chart.level(m.paced.deadline_ns, f"deadline {words.time(m.paced.deadline_ns)}")
    for style, line in lines.items():
        points = _highest([(at / _seconds(end_s), float(value)) for at, value in line if value is not None])
        if points:
            chart.line(points, style, style)
    return chart


def _highest(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most so many points: the highest of each stretch."""
    return [max(points[part], key=lambda point: point[1]) for part in columns(points, _POINTS)]


def _memory(source: Source, m: Measurement, with_rss: list[tuple[float, int]]) -> Chart:
    end_s = max(at for at, _ in with_rss)
    points = [(at / _seconds(end_s), rss / 2**20) for at, rss in with_rss]
    y = around("memory of the process, MiB", [value for _, value in points], words.plain)
    first, last = with_rss[0][1], with_rss[-1][1]
    chart = Chart(
        f"Memory of {m.graph} on {m.backend}",
        f"From {words.size(first)} to {words.size(last)}.",
        _time(end_s),
        y,
        height=200,
    )
    chart.line(_highest(points), source.style(m.backend), "resident memory")
    return chart


def loadgen(source: Source) -> Section | None:
    """What MLPerf's LoadGen measured, beside our own figures of the same scenario."""
    measured = [m for m in source.result.measurements if m.loadgen is not None]
    if not measured:
        return None
    ours = {(m.graph, m.backend): p(m.latency, "p90") for m in source.of("burst")}
    rows: list[tuple[Cell, ...]] = []
    for m in measured:
        run = m.loadgen
        assert run is not None
        percentiles = [run.percentiles_ns.get("p50"), run.percentiles_ns.get("p90"), run.upper_bounds_ns.get("p90")]
        rows.append(
            (
                f"{m.graph} on {m.backend}", named(m.scenario), words.count(run.samples),
                *map(words.microseconds, percentiles),
                words.microseconds(ours.get((m.graph, m.backend))) if run.percentiles_ns else words.NONE,
                words.digits(run.samples_per_s),
                mark("valid" if run.valid else "not valid", Verdict.PASS if run.valid else Verdict.CANNOT_TELL),
                run.version,
            )
        )  # fmt: skip
    heads = numbers("samples", "p50, µs", "p90, µs", "p90 at most, µs", "our p90, µs", "samples per second")
    columns_ = (Column("engine"), Column("scenario"), *heads, Column("by its own rules"), Column("version"))
    lead = "The same sessions, timed by MLPerf's LoadGen instead of by this harness."
    return Section("loadgen", "MLPerf LoadGen", lead, (Table("LoadGen in figures", columns_, tuple(rows)),))
