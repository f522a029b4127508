"""Whether engines still answer as the checkpoint did: margins first, then tensors by batch size, then neurons."""

from __future__ import annotations

from collections.abc import Sequence

from daenr_bench.contract import TITLES, Kept, contract_of, figure, limit
from daenr_bench.report import words
from daenr_bench.report.blocks import Block, Cell, Column, Note, Section, Table, numbers
from daenr_bench.report.sections.common import mark
from daenr_bench.report.sections.neurons import by_neuron
from daenr_bench.report.source import Source
from daenr_bench.result import Accuracy, Parity
from daenr_bench.standard import Standard
from daenr_common.verdict import Verdict

_WORST = {"relative_rms": "relative RMS error", "cosine": "1 − cosine", "code_agreement": "equal codes"}
"""Metrics of which the worst batch size is shown, beside the largest error at each."""


def accuracy(source: Source) -> Section | None:
    """What every engine's answers are worth."""
    found = source.result.accuracy
    if not found:
        return None
    blocks: list[Block] = []
    if contract_of(found):
        blocks += [_margins(source), *_reasons(source)]
    blocks += [Note(f"{a.graph} on {a.backend}: {problem}.") for a in found for problem in a.problems]
    if source.result.standard is not None:
        blocks += _remarks(source.result.standard, contract_of(found))
    blocks += by_neuron(source)
    blocks += [_by_output(source), _tensors(source)]
    wrong = sum(a.verdict == "fail" for a in found)
    lead = (
        "Only what answers as the checkpoint did is timed: an engine that is fast because it is wrong has no figure. "
    )
    lead += f"{wrong} of {len(found)} are wrong." if wrong else f"All {len(found)} that were compared are right."
    return Section("accuracy", "Accuracy", lead, tuple(blocks))


def _margins(source: Source) -> Table:
    """Each engine against each margin, over all of its graphs."""
    metrics = {k.metric: k.margin for k in contract_of(source.result.accuracy)}
    rows: list[tuple[Cell, ...]] = []
    for backend, of_backend in _kept(source).items():
        cells = {k.metric: mark(_shown(k), k.verdict) for k in of_backend}
        if cells:
            rows.append((backend, *(cells.get(metric, words.NONE) for metric in metrics)))
    standard = source.result.standard
    origin = standard.margins_file if standard is not None and standard.margins_file else "daenr’s own"
    caption = f"Margins ({origin}): the worst neuron, or the mean over images, of all graphs"
    heads = (Column(f"{TITLES[metric]} ({limit(metric, margin)})") for metric, margin in metrics.items())
    return Table(caption, (Column("engine"), *heads), tuple(rows))


def _shown(kept: Kept) -> str:
    return "not measured" if kept.worst.value is None else figure(kept.metric, kept.worst.value)


def _remarks(standard: Standard, kept: Sequence[Kept]) -> list[Block]:
    """Where the figures come from, and what is missing."""
    blocks: list[Block] = [
        Note(f"{TITLES[k.metric].capitalize()}: {k.worst.reason}.") for k in kept if k.verdict is Verdict.CANNOT_TELL
    ]
    recording, reference = standard.recording, standard.reference
    if recording is not None and not recording.is_the_models:
        blocks.append(
            Note(f"The recording of {recording.region} is not number by number the one that the model was fitted to.")
        )
    if reference is not None:
        context = "; ".join(
            f"{speed.graph}, {speed.scenario}: {words.time(speed.p50_ns)} (p50)" for speed in reference.speeds
        )
        text = f"Answers are held against those of {reference.file}, measured {reference.started_at} on "
        text += f"{reference.machine.processor}. Whether engines here are faster or slower than it: "
        text += f"{reference.speed_verdict}, {reference.speed_reason}."
        blocks.append(Note(f"{text} For context, it took there: {context}." if context else text))
    return blocks


def _by_output(source: Source) -> Table:
    """The largest error of each engine by kind of output and batch size: the worst of all graphs."""
    found, batches = source.result.accuracy, _batches(source)
    rows: list[tuple[Cell, ...]] = []
    for backend in source.backends:
        parities = [parity for a in found if a.backend == backend for parity in a.parity]
        for output in dict.fromkeys(parity.output for parity in parities):
            of_output = [parity for parity in parities if parity.output == output]
            rows.append((backend, output, _right(of_output), _limit(of_output), *_errors(of_output, batches)))
    against = "a saved run" if any(a.against == "saved run" for a in found) else "the PyTorch model in float64"
    caption = f"Largest error ÷ largest answer against {against}, by batch size: the worst of all graphs"
    columns = (Column("engine"), Column("output"), Column("right?"), Column("margin", is_number=True))
    return Table(caption, (*columns, *numbers(*(f"batch {batch}" for batch in batches))), tuple(rows))


def _tensors(source: Source) -> Table:
    """The same of each graph, and the worst batch size of other metrics."""
    found, batches = source.result.accuracy, _batches(source)
    used = [name for name in _WORST if any(name in parity.metrics for a in found for parity in a.parity)]
    rows = tuple(
        row for graph in source.graphs for a in found if a.graph == graph for row in _outputs(a, batches, used)
    )
    columns = (Column("graph"), Column("engine"), Column("output"), Column("computes in"), Column("right?"))
    heads = (*(f"batch {batch}" for batch in batches), *(_WORST[name] for name in used))
    return Table("Graph by graph", (*columns, *numbers(*heads)), rows, folded=True)


def _batches(source: Source) -> list[int]:
    return sorted({parity.batch for a in source.result.accuracy for parity in a.parity})


def _outputs(a: Accuracy, batches: Sequence[int], used: Sequence[str]) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for output in dict.fromkeys(parity.output for parity in a.parity):
        of_output = [parity for parity in a.parity if parity.output == output]
        worst = (_worst(name, of_output) for name in used)
        rows.append(
            (a.graph, a.backend, output, a.precision, _right(of_output), *_errors(of_output, batches), *worst)
        )  # fmt: skip
    return rows


def _right(of_output: Sequence[Parity]) -> Cell:
    wrong = any(parity.verdict == Verdict.FAIL.value for parity in of_output)
    return mark("no", Verdict.FAIL) if wrong else mark("yes", Verdict.PASS)


def _errors(of_output: Sequence[Parity], batches: Sequence[int]) -> list[str]:
    """The largest error at each batch size; of codes, the share that is equal."""
    shown = []
    for batch in batches:
        metrics = [parity.metrics for parity in of_output if parity.batch == batch]
        errors = [m["max_error_over_scale"] for m in metrics if "max_error_over_scale" in m]
        equal = [m["code_agreement"] for m in metrics if "code_agreement" in m]
        found = words.scientific(max(errors)) if errors else words.NONE
        shown.append(words.share(min(equal)) if equal else found)
    return shown


def _limit(of_output: Sequence[Parity]) -> str:
    margins = [parity.margins for parity in of_output]
    errors = [m["max_error_over_scale"] for m in margins if "max_error_over_scale" in m]
    equal = [m["code_agreement"] for m in margins if "code_agreement" in m]
    if equal:
        return f"≥ {words.share(max(equal))}"
    return f"≤ {words.scientific(min(errors))}" if errors else words.NONE


def _worst(name: str, of_output: Sequence[Parity]) -> str:
    values = [parity.metrics[name] for parity in of_output if name in parity.metrics]
    if not values:
        return words.NONE
    if name == "code_agreement":
        return words.share(min(values))
    # A cosine of 0.9999999999 is read as its distance from 1.
    return words.scientific(max(1 - min(values), 0.0) if name == "cosine" else max(values))


def _reasons(source: Source) -> list[Block]:
    """What decides each figure in the table of margins."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (backend, TITLES[k.metric], mark(k.verdict.value, k.verdict), k.accuracy.graph, f"{k.worst.reason}.")
        for backend, of_backend in _kept(source).items()
        for k in of_backend
    )
    columns = (Column("engine"), Column("margin"), Column("verdict"), Column("graph"), Column("why", is_prose=True))
    caption = "Which graph, and which neuron or image, decides"
    return [Table(caption, columns, rows, folded=True)] if rows else []


def _kept(source: Source) -> dict[str, list[Kept]]:
    """By engine, each margin over all of its graphs."""
    return {name: contract_of([a for a in source.result.accuracy if a.backend == name]) for name in source.backends}
