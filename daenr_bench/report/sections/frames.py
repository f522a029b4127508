"""Frames on a schedule: a time line with every missed deadline, and where their jitter comes from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from daenr_bench.measurement import Histogram, Latency, Measurement
from daenr_bench.report import words
from daenr_bench.report.blocks import Block, Cell, Column, Panel, Panels, Section, Table, numbers
from daenr_bench.report.drawing.chart import Chart
from daenr_bench.report.drawing.scales import Scale
from daenr_bench.report.drawing.svg import Point, element, path
from daenr_bench.report.drawing.thinning import coarser, columns
from daenr_bench.report.sections.common import named, p, times
from daenr_bench.report.source import Source

_EMPTY = 0.7
"""Below one count on a logarithmic axis."""


def time_line(source: Source) -> Section | None:
    """Latency frame by frame. The slowest and the fastest frame of each stretch are drawn, and every miss is marked."""
    scheduled = [m for m in source.of("paced", "paced-warm") if m.paced is not None and m.latency is not None]
    shown = [m for m in scheduled if source.frames(m) is not None]
    if not scheduled:
        return None
    blocks: list[Block] = []
    if shown:
        ends = [
            e for m in shown if m.latency and m.paced for e in (m.latency.min_ns, m.latency.max_ns, m.paced.deadline_ns)
        ]
        y = times("latency (logarithmic)", ends)
        panels = tuple(Panel(_title(m), _line(source, m, y)) for m in shown)
        caption = (
            "Each stroke goes from the fastest to the slowest frame of a stretch, so that no slow frame is lost; "
            "triangles at the top are frames that missed their deadline. Faint uprights are pauses of the schedule, in "
            "which other engines had their turn."
        )
        blocks.append(Panels(caption, panels))
    heads = numbers("frames", "late", "never answered", "longest run of misses", "mean age, µs", "peak age p99, µs")
    blocks.append(
        Table("Frames and deadlines", (Column("engine and loop"), *numbers("deadline, ms"), *heads), _rows(scheduled))
    )
    lead = (
        "Every frame is due at a fixed instant, whatever became of the one before it, and the newest frame wins. "
        "A miss is a frame whose answer came after its deadline or not at all."
    )
    return Section("frames", "Frame by frame", lead, tuple(blocks))


def _title(m: Measurement) -> str:
    return f"{m.backend}, {named(m.scenario)}" + (f" ({m.graph})" if m.graph != "responses" else "")


def _line(source: Source, m: Measurement, y: Scale) -> Chart:
    frames, paced = source.frames(m), m.paced
    assert frames is not None
    assert paced is not None
    due_ns, end_ns = frames
    latency_ns = np.where(end_ns >= 0, end_ns - due_ns, -1)
    is_missed = (end_ns < 0) | (latency_ns > paced.deadline_ns)
    period_s = paced.period_ns / 1e9
    x = Scale("time on the schedule, s", 0.0, len(due_ns) * period_s, words.plain)
    description = (
        f"{words.count(len(due_ns))} frames at {words.rate(paced.rate_hz)}; {words.count(int(is_missed.sum()))} missed "
        f"the deadline of {words.time(paced.deadline_ns)}."
    )
    chart = Chart(f"Time line of {_title(m)}", description, x, y, height=200, left=56)
    breaks = np.flatnonzero(np.diff(due_ns) > 1.5 * paced.period_ns) + 1
    for at in breaks.tolist():
        place = chart.x(at * period_s)
        chart.add(element("line", x1=place, x2=place, y1=chart.y_ends[0], y2=chart.y_ends[1], class_="pause"))
    chart.level(paced.deadline_ns, f"deadline {words.time(paced.deadline_ns)}")
    strokes: list[str] = []
    medians: list[list[Point]] = [[]]
    for part in columns(latency_ns):
        answered = latency_ns[part][latency_ns[part] >= 0]
        if answered.size:
            middle = (part.start + part.stop) / 2 * period_s
            low, high = chart.y(float(answered.min())), chart.y(float(answered.max()))
            strokes.append(f"M{chart.x(middle):.1f} {low + 0.5:.1f}V{high - 0.5:.1f}")
            medians[-1].append((middle, float(np.median(answered))))
        elif medians[-1]:
            medians.append([])
    style = source.style(m.backend)
    chart.add(element("path", element("title", description), d="".join(strokes), class_=f"strokes {style}"))
    for points in filter(None, medians):
        chart.line(points, "median", "median of each stretch")
    _misses(chart, is_missed, period_s)
    return chart


def _misses(chart: Chart, is_missed: np.ndarray, period_s: float) -> None:
    top = chart.y_ends[0]
    for part in columns(is_missed, 120):
        n = int(is_missed[part].sum())
        if n:
            x = chart.x((part.start + int(np.flatnonzero(is_missed[part])[0])) * period_s)
            tip = f"{n} missed from {words.digits(part.start * period_s)} s to {words.digits(part.stop * period_s)} s"
            shape = path([(x - 3, top - 8), (x + 3, top - 8), (x, top - 1)], closed=True)
            chart.add(element("path", element("title", tip), d=shape, class_="miss"))


def _rows(scheduled: Sequence[Measurement]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(
        (
            _title(m), words.milliseconds(m.paced.deadline_ns), words.count(m.paced.frames), words.count(m.paced.late),
            words.count(m.paced.skipped), words.count(m.paced.longest_run_of_misses),
            words.microseconds(m.paced.mean_age_ns), words.microseconds(p(m.paced.peak_age, "p99")),
        )
        for m in scheduled
        if m.paced is not None
    )  # fmt: skip


def jitter(source: Source) -> Section | None:
    """Histograms of latency, with what of it was waiting and waking and what was the engine."""
    shown = [m for m in source.of("paced", "paced-warm") if _histogram(m.latency)]
    if not shown:
        graphs = source.graphs
        rig = "responses" if "responses" in graphs else graphs[0] if graphs else None
        shown = [m for m in source.of("burst") if m.graph == rig and _histogram(m.latency)]
    if not shown:
        return None
    parts = [latency for m in shown for latency in _parts(m)]
    x = times("time (logarithmic)", [end for each in parts for end in (each.min_ns, each.max_ns)])
    panels = tuple(Panel(_title(m), _histogram_chart(source, m, x)) for m in shown)
    caption = "Both axes are logarithmic, so that a single slow frame is as visible as a thousand fast ones."
    marks: tuple[tuple[str, str], ...] = (("fill", "latency"),)
    if any(m.paced for m in shown):
        marks += (
            ("delay", "waiting and waking: due until the call starts"),
            ("service", "the engine: start until end"),
        )
    heads = numbers(
        "p50, µs",
        "p99 − p50, µs",
        "max − p50, µs",
        "waking p50, µs",
        "waking p99, µs",
        "engine p50, µs",
        "engine p99, µs",
    )
    table = Table("Jitter in figures", (Column("engine and loop"), *heads), tuple(map(_jitter_row, shown)))
    lead = (
        "Jitter is how far latencies lie from their median. On a schedule it has two sources: the loop that wakes "
        "late, which the machine's settings decide, and the engine."
    )
    return Section("jitter", "Jitter", lead, (Panels(caption, panels, tuple(marks)), table))


def _histogram(latency: Latency | None) -> Histogram | None:
    found = latency.histogram if latency is not None else None
    return found if found is not None and found.counts else None


def _parts(m: Measurement) -> list[Latency]:
    found = [m.latency, *([m.paced.start_delay, m.paced.service] if m.paced is not None else [])]
    return [latency for latency in found if latency is not None]


def _histogram_chart(source: Source, m: Measurement, x: Scale) -> Chart:
    most = max((n for each in _parts(m) if (h := _histogram(each)) for _, _, n in coarser(h)), default=1)
    y = Scale("calls (logarithmic)", _EMPTY, most * 1.5, lambda n: words.count(round(n)), is_log=True)
    slowest = m.latency.max_ns if m.latency is not None else None
    text = f"{_title(m)}: p50 {words.time(p(m.latency, 'p50'))}, slowest {words.time(slowest)}"
    chart = Chart(f"Histogram of {_title(m)}", text, x, y, height=200)
    _bars(chart, m.latency, f"fill {source.style(m.backend)}", "latency")
    if m.paced is not None:
        if x.low < m.paced.deadline_ns < x.high:
            chart.upright(m.paced.deadline_ns, f"deadline {words.time(m.paced.deadline_ns)}")
        _bars(chart, m.paced.start_delay, "line delay", "waiting and waking")
        _bars(chart, m.paced.service, "line service", "the engine")
    return chart


def _bars(chart: Chart, latency: Latency | None, style: str, name: str) -> None:
    """A histogram's outline: down to the axis between bars that do not touch."""
    histogram = _histogram(latency)
    if histogram is None:
        return
    points: list[Point] = []
    for low, high, n in coarser(histogram):
        if points and abs(points[-1][0] / low - 1) < 1e-6:
            points.pop()
        else:
            points.append((low, _EMPTY))
        points += [(low, n), (high, n), (high, _EMPTY)]
    places = [(chart.x(x), chart.y(y)) for x, y in points]
    tip = f"{name}: {words.count(sum(histogram.counts))} calls"
    chart.add(element("path", element("title", tip), d=path(places), class_=style))


def _jitter_row(m: Measurement) -> tuple[Cell, ...]:
    p50, p99 = p(m.latency, "p50"), p(m.latency, "p99")
    most = m.latency.max_ns if m.latency is not None else None
    apart = [None if end is None or p50 is None else end - p50 for end in (p99, most)]
    delay, service = (m.paced.start_delay, m.paced.service) if m.paced is not None else (None, None)
    parts = [p(each, name) for each in (delay, service) for name in ("p50", "p99")]
    return (_title(m), *map(words.microseconds, [p50, *apart, *parts]))
