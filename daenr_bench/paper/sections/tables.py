"""A table of the paper with its claims: figures, what is lacking, and what the tests say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from daenr_bench.paper.analysis import Part
from daenr_bench.paper.comparisons import Finding, Outcome
from daenr_bench.paper.filling import Entry, Filled
from daenr_bench.paper.published import DECIMALS
from daenr_bench.report import words
from daenr_bench.report.blocks import Block, Cell, Column, Note, Section, Table, Value, numbers
from daenr_bench.report.sections.common import mark

_EMPTY = {"not swept": words.NONE, "unfinished": "to come", "failed": "failed", "not scored": "no score"}

_REASONS = {
    "unfinished": "to come: their runs have not finished",
    "failed": "failed: see below",
    "not scored": "without a score: no neuron could be scored",
}


def table_section(part: Part, lead: str, remark: str = "") -> Section:
    """A table with everything that belongs to it.

    Args:
        part: the table and its tests.
        lead: what the paper claims with it.
        remark: added to its caption.
    """
    table = () if part.filled.is_empty else (table_of(part.filled, remark=remark),)
    return section_of(part, lead, table)


def section_of(part: Part, lead: str, shown: Iterable[Block]) -> Section:
    """What is shown of a table or drawing, then what is lacking, then what is claimed."""
    tests = () if part.filled.is_empty else findings(part)
    return Section(part.layout.ident, part.layout.name, lead, (*shown, *lacks(part.filled), *tests))


def table_of(filled: Filled, *, remark: str = "", folded: bool = False) -> Table:
    """The filled table as a block."""
    layout = filled.layout
    rows = tuple((row.title, *map(_cell, entries)) for row, entries in zip(layout.rows, filled.rows, strict=True))
    return Table(
        f"{layout.name}. {layout.caption} {remark} {_figures(filled)}".replace("  ", " ").strip(),
        (Column(layout.corner), *numbers(*layout.heads)),
        rows,
        folded=folded,
        groups=(("", 1), *layout.groups) if layout.groups else (),
        parts=tuple(number for number, row in enumerate(layout.rows) if number and row.starts_part),
    )


def _figures(filled: Filled) -> str:
    """How the figures are to be read, as far as they need it."""
    numbers_of_seeds = {entry.estimate.n for entry in filled.entries if entry.estimate is not None}
    sentences = ["Of one seed." if numbers_of_seeds == {1} else "Means over seeds, ± their 95 % interval."]
    if any(entry.published is not None for entry in filled.entries):
        sentences.append("“Paper”: what the paper printed.")
    if lacking := filled.count("not swept"):
        ident = filled.layout.ident
        sentences.append(
            f"{words.NONE}: not in this sweep, {lacking} of {len(filled.entries)}; the grid {ident} has all."
        )
    return " ".join(sentences)


def _cell(entry: Entry) -> Cell:
    details = []
    metric, found = entry.spot.metric, entry.estimate
    if found is not None and found.half_width is not None:
        details.append(f"± {metric.text(found.half_width)}")
    elif found is not None and entry.coverage.planned > 1 and not entry.coverage.share:
        details.append("1 seed")
    if found is not None and entry.coverage.share:
        details.append(entry.coverage.share)
    if entry.published is not None:
        details.append(f"paper {entry.published:.{DECIMALS}f}")
    text = _EMPTY[entry.lack] if found is None else metric.text(found.mean)
    return Value(text, tuple(details), entry.is_best)


def lacks(filled: Filled) -> Iterable[Note]:
    """Why cells that were swept have no figure, in a sentence."""
    if filled.is_empty:
        yield Note(f"Nothing of this is in the sweep. The grid {filled.layout.ident} has it.")
    counts = {reason: count for lack, reason in _REASONS.items() if (count := filled.count(lack))}
    if counts:
        listed = "; ".join(f"{count} {reason}" for reason, count in counts.items())
        yield Note(f"Of {len(filled.entries)} cells, {listed}.")


def findings(part: Part) -> Iterable[Table]:
    """What the tests say of the claims, and, folded, of every cell."""
    if part.claims:
        yield findings_table(part.claims, f"{part.layout.name}: the claims, tested")
    compared = [finding for finding in part.cells if finding.seeds]
    if compared:
        tests = sum(finding.p is not None for finding in compared)
        corrected = f"corrected for {tests} tests" if tests else "none of which could be tested"
        yield findings_table(compared, f"{part.layout.name}: cells against their baselines, {corrected}", folded=True)


def findings_table(found: Sequence[Finding], caption: str, *, folded: bool = False) -> Table:
    """A row for each comparison."""
    heads = ("first", "second", "difference", "seeds", "p (Holm)")
    columns = (Column("comparison"), Column("in"), *numbers(*heads), Column("claim"), Column("why", is_prose=True))
    return Table(caption, columns, tuple(map(_finding, found)), folded=folded)


def _finding(finding: Finding) -> tuple[Cell, ...]:
    metric, outcome = finding.comparison.metric, finding.outcome
    means = (words.NONE if m is None else metric.text(m) for m in (finding.first, finding.second))
    return (
        finding.comparison.says,
        metric.head,
        *means,
        _difference(finding),
        str(len(finding.seeds)),
        _p(finding.p_holm),
        mark(outcome.value, outcome.verdict),
        finding.reason,
    )


def _difference(finding: Finding) -> Cell:
    found, metric = finding.difference, finding.comparison.metric
    if found is None:
        return words.NONE
    decimals = metric.decimals + 1
    details = () if found.half_width is None else (f"± {found.half_width:.{decimals}f}",)
    return Value(f"{found.mean:+.{decimals}f}".replace("-", "−"), details)


def _p(value: float | None) -> str:
    if value is None:
        return words.NONE
    return words.scientific(value) if value < 1e-3 else f"{value:.3f}"


def tally(found: Iterable[Finding]) -> str:
    """`3 shown, 1 cannot tell`: how often each outcome came."""
    outcomes = [finding.outcome for finding in found]
    return ", ".join(f"{outcomes.count(each)} {each.value}" for each in Outcome if each in outcomes)
