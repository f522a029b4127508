"""Figures by neuron: what each engine predicts of each, against the reference and against the recording."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from daenr_bench.report import words
from daenr_bench.report.blocks import Block, Cell, Column, Panel, Panels, Table, numbers
from daenr_bench.report.drawing.chart import Chart
from daenr_bench.report.drawing.scales import Scale, around, decades
from daenr_bench.report.sections.common import legend
from daenr_bench.report.source import Source
from daenr_bench.standard import Standard

Floats = NDArray[np.float64]
ByEngine = Mapping[str, Mapping[str, Floats]]
"""By engine and name of a figure, `(M,)`."""

_MOST = 1000
"""Neurons that are drawn and listed; of more, the worst."""


def by_neuron(source: Source) -> list[Block]:
    """Charts and a table of the graph that a rig runs; nothing without figures by neuron."""
    standard = source.result.standard
    graph, engines = _figures(source)
    if standard is None or not engines:
        return []
    shown = _worst_first(engines)[:_MOST]
    shown.sort()
    margin = 1 - standard.margins.correlation_with_reference
    panels = [
        Panel(
            "1 − correlation with the reference",
            _over_neurons(source, engines, shown, "correlation_with_reference", margin),
        ),
        Panel("largest error ÷ largest response", _over_neurons(source, engines, shown, "error_over_largest", None)),
    ]
    if any("recorded_correlation" in figures for figures in engines.values()):
        panels.insert(0, Panel("correlation with the recorded responses", _against_recorded(source, engines, shown)))
    n = len(next(iter(engines.values()))["error_over_largest"])
    caption = (
        f"{graph}: {n} neurons over {standard.images} held-out images; each dot is a neuron, and one on the bottom "
    )
    caption += "line has no difference at all."
    if len(shown) < n:
        caption += f" Of them, the {len(shown)} that differ most are drawn."
    marks = tuple((f"dots {style}", name) for style, name in legend(source, engines))
    return [Panels(caption, tuple(panels), marks), _table(standard, engines, shown)]


def _figures(source: Source) -> tuple[str, ByEngine]:
    """The first graph that has figures by neuron, the rig's before others, and those of each engine."""
    found: dict[str, dict[str, dict[str, Floats]]] = {}
    for a in source.result.accuracy:
        figures = {name: values for name in a.by_neuron if (values := source.by_neuron(a, name)) is not None}
        if "error_over_largest" in figures and "correlation_with_reference" in figures:
            found.setdefault(a.graph, {})[a.backend] = figures
    graph = "responses" if "responses" in found else next(iter(found), "")
    return graph, found.get(graph, {})


def _worst_first(engines: ByEngine) -> list[int]:
    errors = np.max([figures["error_over_largest"] for figures in engines.values()], axis=0)
    return [int(index) for index in np.argsort(-errors, kind="stable")]


def _over_neurons(source: Source, engines: ByEngine, shown: list[int], name: str, margin: float | None) -> Chart:
    distances = {backend: _distance(name, figures[name])[shown] for backend, figures in engines.items()}
    label = {"correlation_with_reference": "1 − correlation", "error_over_largest": "error ÷ largest response"}[name]
    found = np.concatenate(list(distances.values()))
    found = found[found > 0]
    # Where there is no difference at all, a dot is cut off at the bottom.
    y = decades(label, [*found.tolist(), *([margin] if margin else [])], words.scientific)
    x = Scale("neuron", -1.0, float(max(shown) + 1), lambda v: words.count(round(v)))
    worst = f"largest {words.scientific(float(found.max()))}" if found.size else "none has any"
    chart = Chart(f"{label} of each neuron", f"{len(shown)} neurons, {len(engines)} engines; {worst}.", x, y, left=60)
    if margin:
        chart.level(margin, f"margin {words.scientific(margin)}")
    for backend, values in distances.items():
        points = [(float(n), v) for n, v in zip(shown, values.tolist(), strict=True) if math.isfinite(v)]
        chart.dots(points, source.style(backend), backend)
    return chart


def _distance(name: str, values: Floats) -> Floats:
    """How far a neuron is from the reference's; NaN stays NaN."""
    return np.maximum(1 - values, 0.0) if name == "correlation_with_reference" else values


def _against_recorded(source: Source, engines: ByEngine, shown: list[int]) -> Chart:
    pairs = {
        backend: (figures["recorded_correlation_of_reference"][shown], figures["recorded_correlation"][shown])
        for backend, figures in engines.items()
        if "recorded_correlation" in figures and "recorded_correlation_of_reference" in figures
    }
    ends = [float(v) for both in pairs.values() for values in both for v in values if math.isfinite(v)]
    x, y = (around(label, ends, words.digits) for label in ("of the reference", "of the engine"))
    means = "; ".join(f"{name}: mean {np.nanmean(both[1]):.4f}" for name, both in pairs.items() if ends)
    chart = Chart("Correlation of predicted with recorded responses", means or "No neuron has any.", x, y)
    chart.line([(x.low, x.low), (x.high, x.high)], "median", "no change")
    for backend, (of_reference, of_engine) in pairs.items():
        points = zip(of_reference.tolist(), of_engine.tolist(), strict=True)
        chart.dots([p for p in points if all(map(math.isfinite, p))], source.style(backend), backend)
    return chart


def _table(standard: Standard, engines: ByEngine, shown: list[int]) -> Table:
    """A row for each neuron, with the worst of all engines."""
    columns = {
        "1 − correlation with the reference": _worst(engines, "correlation_with_reference"),
        "largest error ÷ largest response": _worst(engines, "error_over_largest"),
    }
    recorded = [figures for figures in engines.values() if "recorded_correlation" in figures]
    if recorded:
        of_reference = recorded[0]["recorded_correlation_of_reference"]
        columns["reference’s correlation with the recording"] = of_reference
        columns["of which is lost"] = of_reference - np.min([f["recorded_correlation"] for f in recorded], axis=0)
    ids = standard.neuron_ids
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (ids[n] if n < len(ids) else str(n), *(_number(float(values[n])) for values in columns.values())) for n in shown
    )
    return Table("Every neuron: the worst of all engines", (Column("neuron"), *numbers(*columns)), rows, folded=True)


def _worst(engines: ByEngine, name: str) -> Floats:
    return np.asarray(np.max([_distance(name, figures[name]) for figures in engines.values()], axis=0))


def _number(value: float) -> str:
    return words.digits(value) if math.isfinite(value) else words.NONE
