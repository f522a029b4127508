"""Whether engines still answer as the checkpoint did: by output, by neuron, and to the eye."""

from __future__ import annotations

import math

import numpy as np

from daenr_bench.report import words
from daenr_bench.report.blocks import (
    Block,
    Cell,
    Column,
    Gallery,
    Note,
    Panel,
    Panels,
    Picture,
    Section,
    Table,
    numbers,
)
from daenr_bench.report.drawing.chart import Chart
from daenr_bench.report.drawing.png import data_uri
from daenr_bench.report.drawing.scales import Scale, decades
from daenr_bench.report.golden import Neurons, Pictures
from daenr_bench.report.sections.common import mark
from daenr_bench.report.source import Source
from daenr_bench.result import Accuracy
from daenr_common.verdict import Verdict
from daenr_export.verification.parity import psnr_db

_LEAST = 1e-17
"""Stands for "no difference at all" on a logarithmic axis."""

_METRICS = {
    "max_error_over_scale": "largest error ÷ scale",
    "relative_rms": "relative RMS error",
    "cosine": "1 − cosine",
    "correlation": "1 − least correlation",
    "psnr_db": "PSNR, dB",
    "code_agreement": "equal codes",
}


def parity(source: Source) -> Section | None:
    """How far each output of each graph is from the golden file, on each backend."""
    accuracy = source.result.accuracy
    if not accuracy:
        return None
    used = [name for name in _METRICS if any(name in metrics for a in accuracy for metrics in a.parity.values())]
    rows = tuple(row for graph in source.graphs for a in accuracy if a.graph == graph for row in _rows(a, used))
    columns = (Column("graph"), Column("engine"), Column("output"), Column("computes in"), Column("right?"))
    caption = "Answers to the golden images against the PyTorch model in float64"
    blocks: list[Block] = [Table(caption, (*columns, *numbers(*(_METRICS[name] for name in used))), rows)]
    blocks += [Note(f"{a.graph} on {a.backend}: {problem}") for a in accuracy for problem in a.problems]
    golden = source.golden
    if golden is not None and golden.remark is not None:
        blocks.append(Note(f"Not shown by neuron: no engine can answer on this machine. {golden.remark}"))
    if golden is not None and golden.neurons is not None:
        blocks += _by_neuron(golden.neurons, str(golden.backend))
    wrong = sum(a.verdict == "fail" for a in accuracy)
    lead = (
        "Only what answers as the checkpoint did is timed: an engine that is fast because it is wrong has no figure. "
    )
    lead += f"{wrong} of {len(accuracy)} are wrong." if wrong else f"All {len(accuracy)} that were compared are right."
    return Section("accuracy", "Accuracy", lead, tuple(blocks))


def _rows(a: Accuracy, used: list[str]) -> list[tuple[Cell, ...]]:
    verdict = Verdict(a.verdict)
    word = mark("yes" if verdict is Verdict.PASS else "no", verdict)
    parity = a.parity or {words.NONE: {}}
    return [
        (a.graph, a.backend, output, a.precision, word, *(_metric(name, metrics.get(name)) for name in used))
        for output, metrics in parity.items()
    ]


def _metric(name: str, value: float | None) -> str:
    if value is None:
        return words.NONE
    if name == "psnr_db":
        return f"{value:.1f}"
    if name == "code_agreement":
        return words.share(value)
    # A cosine of 0.9999999999 is read as its distance from 1.
    return words.scientific(max(1 - value, 0.0) if name in ("cosine", "correlation") else value)


def _by_neuron(neurons: Neurons, backend: str) -> list[Block]:
    distance = np.maximum(1 - neurons.correlation, _LEAST)
    n = len(neurons.ids)
    scored = np.isfinite(neurons.correlation)
    panels = [Panel("largest error, by neuron", _scatter(neurons, neurons.error, "error ÷ largest response"))]
    if scored.any():
        panels.append(Panel("1 − correlation over images, by neuron", _scatter(neurons, distance, "1 − correlation")))
    flat = n - int(scored.sum())
    remark = f" {flat} hardly respond to these images and have no correlation worth the name." if flat else ""
    caption = (
        f"{n} neurons, {neurons.images} golden images, answered by {backend} when this page was made, against the "
        f"checkpoint's answers in float64; one dot for each neuron; logarithmic.{remark}"
    )
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (name, words.scientific(float(error)), words.NONE if math.isnan(r) else words.scientific(max(1 - float(r), 0)))
        for name, error, r in zip(neurons.ids, neurons.error, neurons.correlation, strict=True)
    )
    heads = (Column("neuron"), *numbers("largest error ÷ largest response", "1 − correlation"))
    return [Panels(caption, tuple(panels)), Table("Every neuron", heads, rows, folded=True)]


def _scatter(neurons: Neurons, values: np.ndarray, label: str) -> Chart:
    shown = np.maximum(values, _LEAST)
    finite = shown[np.isfinite(shown)]
    x = Scale("neuron", -1.0, float(len(values)), lambda v: words.count(round(v)))
    y = decades(label, finite.tolist(), words.scientific)
    worst = f"largest {words.scientific(float(finite.max()))}" if finite.size else "none"
    chart = Chart(f"{label} of each neuron", f"{len(finite)} neurons, {worst}.", x, y, height=200, left=60)
    for number, (name, value) in enumerate(zip(neurons.ids, shown.tolist(), strict=True)):
        if math.isfinite(value):
            chart.dot((number, value), "mark", f"{name}: {words.scientific(value)}", radius=2.2)
    return chart


def pictures(source: Source) -> Section | None:
    """Golden images, what the checkpoint makes of them, and what the engine makes of them."""
    golden = source.golden
    if golden is None or golden.pictures is None:
        return None
    p = golden.pictures
    rows = [
        ("original", _images(p.original, "original")),
        ("PyTorch, float64", _images(p.golden, "golden reconstruction")),
    ]
    if p.answer is not None:
        rows.append((str(golden.backend), _images(p.answer, f"reconstruction by {golden.backend}")))
    caption = "The first golden images of the bundle, 32 × 32 pixels, on one scale of grey from −1 to 1."
    footer = ("PSNR to the original, dB", tuple(f"{value:.1f}" for value in _psnr(p)))
    lead = "What the model keeps of an image, and whether the engine keeps the same."
    return Section("reconstructions", "Reconstructions", lead, (Gallery(caption, tuple(rows), footer),))


def _images(images: np.ndarray, what: str) -> tuple[Picture, ...]:
    return tuple(Picture(data_uri(image), f"{what} of image {n}") for n, image in enumerate(images, start=1))


def _psnr(p: Pictures) -> list[float]:
    shown = p.golden if p.answer is None else p.answer
    return [psnr_db(answer, original) for answer, original in zip(shown, p.original, strict=True)]
