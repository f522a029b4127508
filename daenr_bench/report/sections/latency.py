"""Latency: paced against burst, the distribution of each graph and backend, and its figures."""

from __future__ import annotations

from collections.abc import Sequence

from daenr_bench.measurement import Measurement
from daenr_bench.report import words
from daenr_bench.report.blocks import Block, Cell, Column, Panel, Panels, Section, Table, numbers
from daenr_bench.report.drawing.chart import Chart
from daenr_bench.report.drawing.scales import Scale
from daenr_bench.report.drawing.svg import Point, element
from daenr_bench.report.drawing.thinning import exceedance, exceedance_of_histogram
from daenr_bench.report.sections.common import bound, legend, named, p, state, times
from daenr_bench.report.source import Source

_SINGLE = ("burst", "paced", "paced-warm")
_ROW, _HEAD = 17.0, 20.0


def against_burst(source: Source) -> Section | None:
    """What resting between frames costs: burst, paced and paced-warm of the same backend, one below the other."""
    scheduled = [m for m in source.of("paced", "paced-warm") if m.latency is not None]
    if not scheduled:
        return None
    graphs = list(dict.fromkeys(m.graph for m in scheduled))
    panels, rows = [], []
    for graph in graphs:
        of_graph = [m for m in source.of(*_SINGLE) if m.graph == graph and m.latency is not None]
        panels.append(Panel(graph, _ranges(source, graph, of_graph)))
        rows += _slowdowns(source, of_graph)
    columns = (Column("engine"), Column("graph"), *numbers("burst p50, µs", "paced p50, µs", "kept warm p50, µs"))
    caption = (
        "Each line goes from the median (dot) to p99 (bar); the ring is what p99 exceeds with at most 1 % probability. "
        "Paced latency counts from the instant a frame was due."
    )
    lead = (
        "A published latency is nearly always a burst: the next call starts when the last one returned. A loop that "
        "waits for frames finds processor and caches gone cold. This is how much that costs here."
    )
    blocks = (
        Panels(caption, tuple(panels), legend(source, [m.backend for m in scheduled])),
        Table(
            "Median latency by loop", (*columns, *numbers("paced ÷ burst", "kept warm ÷ burst")), tuple(rows)
        ),
    )  # fmt: skip
    return Section("paced-against-burst", "Paced against burst", lead, blocks)


def _ranges(source: Source, graph: str, of_graph: Sequence[Measurement]) -> Chart:
    backends = [name for name in source.backends if any(m.backend == name for m in of_graph)]
    deadline = next((m.paced.deadline_ns for m in of_graph if m.paced is not None), None)
    ends = [e for m in of_graph for e in (p(m.latency, "p50"), p(m.latency, "p99"), bound(m.latency, "p99")) if e]
    x = times("latency (logarithmic)", [*ends, *([deadline] if deadline else [])])
    n_rows = sum(1 for m in of_graph) + len(backends) * _HEAD / _ROW
    y = Scale("", n_rows * _ROW, 0.0, str, values=())
    chart = Chart(
        f"Burst and paced latency of {graph}",
        "; ".join(f"{m.backend} {named(m.scenario)}: p50 {words.time(p(m.latency, 'p50'))}" for m in of_graph),
        x, y, height=n_rows * _ROW + 58, left=86,
    )  # fmt: skip
    if deadline:
        chart.upright(deadline, f"deadline {words.time(deadline)}")
    place = 0.0
    for backend in backends:
        place += _HEAD
        chart.add(element("text", backend, x=4, y=chart.y(place - 6), class_="strong"))
        for scenario in _SINGLE:
            for m in of_graph:
                if (m.backend, m.scenario) == (backend, scenario):
                    _range(chart, m, place + _ROW / 2, source.style(backend))
                    place += _ROW
    return chart


def _range(chart: Chart, m: Measurement, place: float, style: str) -> None:
    p50, p99, most = p(m.latency, "p50"), p(m.latency, "p99"), bound(m.latency, "p99")
    y = chart.y(place)
    short = {"burst": "burst", "paced": "paced", "paced-warm": "kept warm"}[m.scenario]
    chart.add(element("text", short, x=78, y=y + 3.5, text_anchor="end"))
    if p50 is None:
        return
    tip = f"{m.backend}, {named(m.scenario)}: p50 {words.time(p50)}, p99 {words.time(p99)}, at most {words.time(most)}"
    end = chart.x(p99 if p99 is not None else p50)
    group = element("g", element("title", tip), class_=style)
    group.append(element("line", x1=chart.x(p50), x2=end, y1=y, y2=y, class_="range"))
    group.append(element("circle", cx=chart.x(p50), cy=y, r=4, class_="dot"))
    if p99 is not None:
        group.append(element("line", x1=end, x2=end, y1=y - 5, y2=y + 5, class_="range"))
    if most is not None:
        group.append(element("circle", cx=chart.x(most), cy=y, r=3, class_="ring"))
    chart.add(group)


def _slowdowns(source: Source, of_graph: Sequence[Measurement]) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for backend in source.backends:
        medians = {m.scenario: p(m.latency, "p50") for m in of_graph if m.backend == backend}
        if not medians:
            continue
        burst = medians.get("burst")
        found = [medians.get(name) for name in _SINGLE]
        ratios = [f"{value / burst:.1f}" if value and burst else words.NONE for value in found[1:]]
        rows.append((source.titled(backend), of_graph[0].graph, *map(words.microseconds, found), *ratios))
    return rows


def distributions(source: Source) -> Section | None:
    """The share of calls that took longer than a time, on two logarithmic axes, so that the tail is seen."""
    measured = [m for m in source.of(*_SINGLE) if m.latency is not None]
    if not measured:
        return None
    curves = {id(m): curve for m in measured if (curve := _curve(source, m))}
    panels = [
        Panel(
            f"{graph}, {named(scenario)}",
            _distribution(source, cells, [m for m in measured if m.graph == graph], curves),
        )
        for scenario in ("paced", "paced-warm", "burst")
        for graph in source.graphs
        if (cells := [m for m in measured if (m.graph, m.scenario) == (graph, scenario) and id(m) in curves])
    ]
    caption = (
        "How to read it: where a curve crosses 1 %, 99 of 100 calls were faster. Every one of the slowest calls is "
        "drawn; a curve that ends level at the right has frames that were never answered."
    )
    blocks: list[Block] = []
    if panels:
        blocks.append(Panels(caption, tuple(panels), legend(source, [m.backend for m in measured])))
    blocks.append(_figures(source, measured))
    if any(m.device is not None for m in measured):
        blocks.append(_on_device(source, measured))
    lead = "Latency of a single image, from host memory to host memory. A mean hides what a rig feels: the tail."
    if source.result.entrants:
        blocks.append(_how_they_were_run(source))
        lead += _PEERS if source.result.peers else ""
    return Section("distributions", "Latency distributions", lead, tuple(blocks))


_PEERS = (
    " Peers are the same model in others' runtimes, run as their documentation recommends for latency; all took turns "
    "in one run."
)


def _how_they_were_run(source: Source) -> Table:
    """Threads and settings: without them a comparison says nothing."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            source.titled(entrant.backend),
            words.NONE if entrant.threads is None else str(entrant.threads),
            words.time(max(entrant.opening_s.values(), default=0.0) * 1e9),
            f"{entrant.settings}; {entrant.documentation}" if entrant.settings else "a backend of the bundle",
        )
        for entrant in source.result.entrants
    )
    figures = numbers("threads", "opened in")
    caption = "How each was run. Opening a graph, with all that is compiled for it, is in no latency"
    return Table(caption, (Column("engine"), *figures, Column("settings and documentation", is_prose=True)), rows)


def _curve(source: Source, m: Measurement) -> list[Point]:
    assert m.latency is not None
    values = source.array(m, "latency_ns")
    if (frames := source.frames(m)) is not None:
        due_ns, end_ns = frames
        values = (end_ns - due_ns)[end_ns >= 0]
    if values is not None and values.size:
        return exceedance(values, m.latency.unanswered)
    histogram = m.latency.histogram
    return exceedance_of_histogram(histogram, m.latency.unanswered) if histogram and histogram.counts else []


def _distribution(
    source: Source, cells: Sequence[Measurement], measured: Sequence[Measurement], curves: dict[int, list[Point]]
) -> Chart:
    deadline = next((m.paced.deadline_ns for m in cells if m.paced is not None), None)
    # One scale for all loops of a graph, so that its panels can be compared.
    ends = [x for m in measured if m.graph == cells[0].graph for x, _ in curves.get(id(m), [])]
    x = times("latency (logarithmic)", [*ends, *([deadline] if deadline else [])])
    least = min((y for m in cells for _, y in curves[id(m)] if y > 0), default=0.1)
    y = Scale("share of calls that took longer", least / 1.6, 1.0, words.share, is_log=True)
    texts = [
        f"{m.backend}: p50 {words.time(p(m.latency, 'p50'))}, p99 {words.time(p(m.latency, 'p99'))}" for m in cells
    ]
    chart = Chart(f"Latency of {cells[0].graph}, {named(cells[0].scenario)}", "; ".join(texts), x, y, left=56)
    if deadline:
        chart.upright(deadline, f"deadline {words.time(deadline)}")
    for m, text in zip(cells, texts, strict=True):
        points = curves[id(m)]
        if m.latency is not None and m.latency.unanswered:
            points = [*points, (x.high, points[-1][1])]
        chart.line(points, source.style(m.backend), text, stepped=True)
    return chart


def _summary(m: Measurement) -> str:
    return f"{m.backend}: p50 {words.time(p(m.latency, 'p50'))}, p99 {words.time(p(m.latency, 'p99'))}"


def _figures(source: Source, measured: Sequence[Measurement]) -> Table:
    reference = source.result.reference_backend
    heads = [
        "p50, µs",
        "p90, µs",
        "p99, µs",
        "p99 at most, µs",
        "p99.9, µs",
        "max, µs",
        "calls",
        f"× {reference or 'faster'}",
    ]
    rows: list[tuple[Cell, ...]] = []
    for m in measured:
        latency = m.latency
        assert latency is not None
        rows.append(
            (
                m.graph, source.titled(m.backend), named(m.scenario),
                *(words.microseconds(p(latency, name)) for name in ("p50", "p90", "p99")),
                words.microseconds(bound(latency, "p99")),
                words.microseconds(p(latency, "p99.9")),
                words.microseconds(latency.max_ns),
                words.count(latency.n),
                words.NONE if m.times_faster is None else f"{m.times_faster:.2f}",
                state(m),
            )
        )  # fmt: skip
    columns = (Column("graph"), Column("engine"), Column("loop"), *numbers(*heads), Column("state"))
    caption = "Latency in figures: measured values by nearest rank; a percentile with too few calls is left out"
    return Table(caption, columns, tuple(rows))


def _on_device(source: Source, measured: Sequence[Measurement]) -> Table:
    """What the device itself says: beside the latency that a rig feels, never in place of it."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            m.graph,
            source.titled(m.backend),
            named(m.scenario),
            *(words.microseconds(p(m.device.latency, name)) for name in ("p50", "p99")),
            words.microseconds(p(m.latency, "p50")),
            m.device.timing_boundary,
        )
        for m in measured
        if m.device is not None
    )
    figures = numbers("device p50, µs", "device p99, µs", "host to host p50, µs")
    columns = (
        Column("graph"),
        Column("engine"),
        Column("loop"),
        *figures,
        Column("what the device timed", is_prose=True),
    )
    return Table("Time on the device", columns, rows)
