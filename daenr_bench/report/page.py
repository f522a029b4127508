"""The page on a measured bundle: which sections it has, and what stands above them."""

from __future__ import annotations

from collections.abc import Callable

from daenr_bench.report import words
from daenr_bench.report.answers import WORDS, Answer, answers_of, headline_of, subject
from daenr_bench.report.blocks import Cell, Column, Note, Section, Table
from daenr_bench.report.rendering import render
from daenr_bench.report.sections import accuracy, capacity, endurance, frames, latency, machine, pictures
from daenr_bench.report.sections.common import bound, mark, p
from daenr_bench.report.source import Source

_SECTIONS: tuple[Callable[[Source], Section | None], ...] = (
    accuracy.accuracy,
    latency.against_burst,
    latency.distributions,
    frames.time_line,
    frames.jitter,
    pictures.pictures,
    capacity.throughput,
    capacity.cold,
    endurance.soak,
    endurance.loadgen,
    machine.skipped,
    machine.machine,
)
"""In the order in which a reader asks."""


def html_page(source: Source) -> str:
    """The report as one HTML document.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    answers = answers_of(source)
    return render(
        "page.html",
        result=source.result,
        version=source.result.packages.get("daenr", ""),
        headline=headline_of(answers),
        answers=_table(answers),
        caveats=_caveats(source),
        sections=[section for make in _SECTIONS if (section := make(source)) is not None],
    )


def _table(answers: list[Answer]) -> Table:
    """Every engine's answer, with its reason."""
    many = len({answer.graph for answer in answers}) > 1
    rows: list[tuple[Cell, ...]] = []
    for answer in answers:
        latency = answer.measurement.latency if answer.measurement is not None else None
        reason = answer.reason + (f" But it {'; '.join(answer.caveats)}." if answer.caveats else "")
        rows.append(
            (
                subject(answer) if many else answer.backend,
                answer.loop or words.NONE,
                mark(WORDS[answer.verdict], answer.verdict),
                words.microseconds(p(latency, "p50")),
                words.microseconds(bound(latency, "p99")),
                reason,
            )
        )
    columns = (
        Column("engine"), Column("between frames"), Column("trust it?"), Column("p50, µs", is_number=True),
        Column("p99 at most, µs", is_number=True), Column("why", is_prose=True),
    )  # fmt: skip
    return Table("Every engine's answer, and its reason", columns, tuple(rows))


def _caveats(source: Source) -> list[Note]:
    """What a reader must know before any figure."""
    result = source.result
    found = []
    if not result.complete:
        found.append("The run was interrupted: not all was measured. What is shown was measured until then.")
    wrong = [subject(a) for a in result.accuracy if a.verdict == "fail"]
    if wrong:
        found.append(f"Answers are wrong, so there is no latency: {words.listed(wrong)}.")
    dead = [subject(m) for m in result.measurements if m.state == "fault"]
    if dead:
        found.append(f"Died while it was measured: {words.listed(list(dict.fromkeys(dead)))}.")
    if source.no_samples is not None:
        drawn = "Curves are drawn from histograms, and there is no time line of frames."
        found.append(f"Without raw samples: {source.no_samples}. {drawn}")
    return [Note(text) for text in found]
