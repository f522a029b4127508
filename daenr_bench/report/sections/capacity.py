"""Throughput by batch size, and the way from nothing to the first answer."""

from __future__ import annotations

from collections.abc import Sequence

from daenr_bench.measurement import Cold, Measurement, Spread
from daenr_bench.report import words
from daenr_bench.report.blocks import Cell, Column, Panel, Panels, Section, Table, numbers
from daenr_bench.report.drawing.chart import Chart
from daenr_bench.report.drawing.scales import Scale, around
from daenr_bench.report.drawing.svg import element
from daenr_bench.report.sections.common import legend, state
from daenr_bench.report.source import Source

_ROW = 40.0


def throughput(source: Source) -> Section | None:
    """Images per second by batch size."""
    measured = [m for m in source.of("throughput") if m.throughput is not None and m.throughput.points]
    if not measured:
        return None
    graphs = list(dict.fromkeys(m.graph for m in measured))
    panels = tuple(Panel(graph, _curves(source, graph, [m for m in measured if m.graph == graph])) for graph in graphs)
    columns = (Column("graph"), Column("engine"), *numbers("batch", "images per second", "call p50, µs", "calls"))
    caption = "One call after the other, at the median call. The ring is the smallest batch within reach of the best."
    blocks = (
        Panels(caption, panels, legend(source, [m.backend for m in measured])),
        Table(
            "Throughput in figures",
            (*columns, Column("saturation")),
            tuple(row for m in measured for row in _rows(m)),
            folded=True,
        ),
    )
    lead = (
        "For offline use: how many images a second, and from which batch size on more brings nothing. "
        "A rig answers one by one."
    )
    return Section("throughput", "Throughput", lead, blocks)


def _curves(source: Source, graph: str, of_graph: Sequence[Measurement]) -> Chart:
    points = [point for m in of_graph if m.throughput is not None for point in m.throughput.points]
    batches = sorted({point.batch for point in points})
    x = Scale(
        "batch size (logarithmic)", batches[0] / 1.3, batches[-1] * 1.3, lambda v: f"{v:g}", is_log=True,
        values=tuple(map(float, batches)),
    )  # fmt: skip
    y = around("images per second (logarithmic)", [point.images_per_s for point in points], words.plain, is_log=True)
    best = [f"{m.backend} at most {_rate(m)}" for m in of_graph]
    chart = Chart(f"Throughput of {graph}", "; ".join(best), x, y, left=66)
    for m in of_graph:
        found, style = m.throughput, source.style(m.backend)
        assert found is not None
        chart.line([(point.batch, point.images_per_s) for point in found.points], style, m.backend)
        for point in found.points:
            is_knee = point.batch == found.saturates_at
            tip = f"{m.backend}, batch {point.batch}: {words.digits(point.images_per_s)} images/s"
            mark = "ring" if is_knee else "dot"
            chart.dot((point.batch, point.images_per_s), f"{mark} {style}", tip, radius=5 if is_knee else 2.5)
    return chart


def _rate(m: Measurement) -> str:
    assert m.throughput is not None
    return f"{words.digits(max(point.images_per_s for point in m.throughput.points))} images/s"


def _rows(m: Measurement) -> list[tuple[Cell, ...]]:
    assert m.throughput is not None
    return [
        (
            m.graph, m.backend, str(point.batch), words.digits(point.images_per_s), words.microseconds(point.p50_ns),
            words.count(point.calls), "from here on" if point.batch == m.throughput.saturates_at else "",
        )
        for point in m.throughput.points
    ]  # fmt: skip


def cold(source: Source) -> Section | None:
    """From the start of a process to its first answer, stage by stage."""
    measured = [m for m in source.of("cold") if m.cold is not None]
    if not measured:
        return None
    names = list(dict.fromkeys(name for m in measured if m.cold is not None for name in m.cold.stages))
    styles = {name: f"s{number % 8}" for number, name in enumerate(names)}
    marks = tuple((f"block {styles[name]}", name) for name in names)
    panel = Panel("median of each stage", _stack(measured, styles))
    rows: list[tuple[Cell, ...]] = []
    for m in measured:
        assert m.cold is not None
        rows += [
            _spread(m, "all, with imports", m.cold.with_import),
            _spread(m, "all, without imports", m.cold.without_import),
        ]
        rows += [_spread(m, name, spread) for name, spread in m.cold.stages.items()]
    columns = (
        Column("engine"),
        Column("stage"),
        *numbers("fastest, ms", "median, ms", "slowest, ms", "processes"),
        Column("state"),
    )
    lead = "What a crash in an experiment costs: each time a new process, from its start to the first answer."
    caption = "Medians of stages need not add up to the median of the whole."
    blocks = (Panels(caption, (panel,), marks), Table("Cold start in figures", columns, tuple(rows), folded=True))
    return Section("cold-start", "Cold start", lead, blocks)


def _stack(measured: Sequence[Measurement], styles: dict[str, str]) -> Chart:
    ends = [sum(spread.median_ns for spread in m.cold.stages.values()) for m in measured if m.cold is not None]
    x = Scale("time, s", 0.0, max([*ends, 1]) / 1e9 * 1.05, words.plain)
    y = Scale("", len(measured) * _ROW, 0.0, str, values=())
    texts = [f"{m.backend}: {words.time(m.cold.with_import.median_ns)}" for m in measured if m.cold is not None]
    chart = Chart("Stages of a cold start", "; ".join(texts), x, y, height=len(measured) * _ROW + 52, left=8)
    for number, (m, text) in enumerate(zip(measured, texts, strict=True)):
        _bar(chart, m, m.cold, number * _ROW, styles, text)
    return chart


def _bar(chart: Chart, m: Measurement, found: Cold | None, top: float, styles: dict[str, str], text: str) -> None:
    assert found is not None
    y, end_ns = chart.y(top), 0
    title = text if m.graph == "responses" else f"{text} ({m.graph})"
    chart.add(element("text", title, x=chart.x(0), y=y + 13, class_="strong"))
    for name, spread in found.stages.items():
        start, end_ns = chart.x(end_ns / 1e9), end_ns + spread.median_ns
        tip = element("title", f"{m.backend}, {name}: {words.time(spread.median_ns)}")
        width = max(chart.x(end_ns / 1e9) - start, 0.5)
        chart.add(element("rect", tip, x=start, y=y + 18, width=width, height=14, class_=f"block {styles[name]}"))


def _spread(m: Measurement, stage: str, spread: Spread) -> tuple[Cell, ...]:
    times = (spread.min_ns, spread.median_ns, spread.max_ns)
    name = m.backend if m.graph == "responses" else f"{m.backend} ({m.graph})"
    return (name, stage, *map(words.milliseconds, times), str(spread.n), state(m))
