"""The paper's figures 2, 3 and 4."""

from __future__ import annotations

from collections.abc import Sequence

from daenr_bench.paper.analysis import Analysis, Part
from daenr_bench.paper.filling import Entry
from daenr_bench.paper.layouts import region_title
from daenr_bench.paper.pictures import Sheet, Strip
from daenr_bench.paper.sections.tables import section_of, table_of
from daenr_bench.report import words
from daenr_bench.report.blocks import Block, Gallery, Note, Panel, Panels, Picture, Section
from daenr_bench.report.drawing.chart import Chart
from daenr_bench.report.drawing.png import data_uri
from daenr_bench.report.drawing.scales import Scale
from daenr_bench.report.drawing.svg import element
from daenr_train.spec import LAYERS

_STYLES = {"CNN": "s0", "CAE": "s1"}
_BAR = 0.36


def figure2(sheet: Sheet) -> Section:
    """Ten test images and their reconstructions."""
    blocks: list[Block] = []
    if sheet.seed is not None:
        caption = (
            f"Figure 2. Test images of {region_title(sheet.region)}, and their reconstructions. Seed {sheet.seed}."
        )
        blocks.append(Gallery(caption, tuple((strip.title, _pictures(strip)) for strip in sheet.strips)))
    if sheet.lacking:
        listed = "; ".join(f"{title}: {why}" for title, why in sheet.lacking)
        blocks.append(Note(f"Without a row: {listed}. The grid figure2 has them."))
    lead = "The paper: whatever layer the responses are mapped to, CAE-FR reconstructs better than CAE."
    return Section("figure2", "Figure 2", lead, tuple(blocks))


def _pictures(strip: Strip) -> tuple[Picture, ...]:
    return tuple(
        Picture(data_uri(image), f"{strip.title}, image {number}") for number, image in enumerate(strip.images, 1)
    )


def figure3(part: Part, analysis: Analysis) -> Section:
    """Significant and insignificant neurons of CNN-FR and CAE-FR, on each region."""
    panels = [
        Panel(region_title(region), chart)
        for region in analysis.experiment.regions
        if (chart := _bars(part, region, ("CNN", "CAE"))) is not None
    ]
    legend = (*_legend("CNN-FR", "s0"), *_legend("CAE-FR", "s1"))
    lead = "The paper: CAE-FR has more significant neurons than CNN-FR."
    return _counts(part, lead, panels, legend)


def figure4(part: Part, analysis: Analysis) -> Section:
    """Significant and insignificant neurons of CAE-FR on one region."""
    region = analysis.experiment.focus
    chart = _bars(part, region, ("CAE",))
    panels = [] if chart is None else [Panel(region_title(region), chart)]
    lead = "How many neurons each fit of CAE-FR tells apart, from which table 3's second stage starts."
    return _counts(part, lead, panels, _legend("CAE-FR", "s1"))


def _counts(part: Part, lead: str, panels: Sequence[Panel], legend: tuple[tuple[str, str], ...]) -> Section:
    name = part.layout.name
    if not panels:
        return section_of(part, lead, ())
    caption = f"{name}. Neurons by the layer that is read out; means over seeds. The paper prints no numbers for it."
    return section_of(part, lead, (Panels(caption, tuple(panels), legend), table_of(part.filled, folded=True)))


def _legend(family: str, style: str) -> tuple[tuple[str, str], ...]:
    return (f"block {style}", f"{family}, significant"), (f"block light {style}", f"{family}, insignificant")


def _bars(part: Part, region: str, trunks: Sequence[str]) -> Chart | None:
    """A stack for each model: its significant neurons, and on top of them the others; None without any model."""
    rows = {
        row.title: (significant, others)
        for row, entries in zip(part.layout.rows, part.filled.rows, strict=True)
        for significant, others in [[entry for entry in entries if entry.spot.place.region == region]]
        if significant.estimate is not None and others.estimate is not None
    }
    if not rows:
        return None
    most = max(sum(map(_mean, pair)) for pair in rows.values())
    x = Scale("layer that is read out", 0.4, len(LAYERS) + 0.6, lambda v: f"h{v:.0f}", values=LAYERS)
    y = Scale("neurons", 0.0, most * 1.05, words.plain)
    texts = [f"{title}: {_text(pair)}" for title, pair in rows.items()]
    chart = Chart(f"Significant neurons of {region_title(region)}", "; ".join(texts), x, y)
    for title, pair in rows.items():
        trunk, layer = title[:3], int(title[-1])
        centre = layer + (trunks.index(trunk) - (len(trunks) - 1) / 2) * (_BAR + 0.04)
        _stack(chart, centre, pair, _STYLES[trunk], f"{title}: {_text(pair)}")
    return chart


def _stack(chart: Chart, centre: float, pair: tuple[Entry, Entry], style: str, tip: str) -> None:
    left, right = chart.x(centre - _BAR / 2), chart.x(centre + _BAR / 2)
    bottom = 0.0
    for entry, shade in zip(pair, ("", " light"), strict=True):
        top = bottom + _mean(entry)
        place = {"x": left, "y": chart.y(top), "width": right - left, "height": chart.y(bottom) - chart.y(top)}
        chart.add(element("rect", element("title", tip), class_=f"block{shade} {style}", **place))
        bottom = top


def _mean(entry: Entry) -> float:
    return entry.estimate.mean if entry.estimate is not None else 0.0


def _text(pair: tuple[Entry, Entry]) -> str:
    significant, others = (f"{_mean(entry):.1f}".removesuffix(".0") for entry in pair)
    return f"{significant} significant, {others} not"
