"""The whole report as blocks: the answer, what a reader must know before, and the paper's tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daenr_bench.paper.analysis import Analysis
from daenr_bench.paper.comparisons import Finding, Outcome
from daenr_bench.paper.metrics import CORRELATION_WITH
from daenr_bench.paper.sections import figures, sweep
from daenr_bench.paper.sections.tables import findings_table, table_section, tally
from daenr_bench.report import words
from daenr_bench.report.answers import Headline
from daenr_bench.report.blocks import Note, Section, Table
from daenr_common.verdict import Verdict

QUESTION = "Does joint learning help?"

SUBJECTS = {"reconstruction": ("table2", "table5"), "neural similarity": ("table4", "table6")}
"""What joint learning is claimed to help, and the tables with the claims."""

SHOWN_FIRST = ("table2", "figure3", "table3", "table4")
"""Whose claims stand on top; tables 5 and 6 have many, which stand below them."""


@dataclass(frozen=True)
class Document:
    """The report.

    Attributes:
        headline: the answer.
        subtitle: what it rests on.
        caveats: what a reader must know before any figure.
        answers: the main claims, tested.
        sections: the rest.
        cite: what identifies it.
    """

    headline: Headline
    subtitle: str
    caveats: tuple[Note, ...]
    answers: Table
    sections: tuple[Section, ...]
    cite: str


def document_of(analysis: Analysis) -> Document:
    """The report of an analysis."""
    main = [finding for ident in SHOWN_FIRST for finding in analysis.parts[ident].claims]
    return Document(
        _headline(analysis),
        _subtitle(analysis),
        tuple(map(Note, _caveats(analysis))),
        findings_table(main, "The main claims, tested"),
        tuple(section for section in _sections(analysis) if section is not None),
        _cite(analysis),
    )


def _sections(analysis: Analysis) -> Sequence[Section | None]:
    parts, experiment = analysis.parts, analysis.experiment
    correlation = f"PCC: with {CORRELATION_WITH[analysis.correlation]}. {sweep.unscored(experiment)}".strip()
    return (
        table_section(parts["table2"], "The paper: responses improve reconstruction, by far the most in region 3."),
        figures.figure2(analysis.sheet),
        figures.figure3(parts["figure3"], analysis),
        table_section(parts["table3"], "The paper: only significant neurons carry what helps reconstruction."),
        figures.figure4(parts["figure4"], analysis),
        table_section(parts["table4"], "The paper: reconstruction improves neural similarity.", correlation),
        table_section(parts["table5"], "The paper: responses help all autoencoders with all readouts."),
        table_section(parts["table6"], "The paper: reconstruction helps all readouts.", correlation),
        sweep.failures(experiment),
        sweep.cost(experiment),
        sweep.recordings(experiment),
        sweep.definitions(analysis),
    )


def _headline(analysis: Analysis) -> Headline:
    by_subject = {
        subject: [finding for ident in idents for finding in analysis.parts[ident].claims]
        for subject, idents in SUBJECTS.items()
    }
    judged = {subject: _judge(found) for subject, found in by_subject.items()}
    verdicts = {verdict for verdict, _ in judged.values()}
    verdict = verdicts.pop() if len(verdicts) == 1 else Verdict.CANNOT_TELL
    answer = " ".join(f"{subject.capitalize()}: {answer}." for subject, (_, answer) in judged.items())
    counts = (f"{subject} (tables {_tables(subject)}): {tally(found)}" for subject, found in by_subject.items())
    return Headline(QUESTION, verdict, answer, f"Of the claims on {'; on '.join(counts)}.")


def _tables(subject: str) -> str:
    return words.listed([ident[-1] for ident in SUBJECTS[subject]])


def _judge(found: Sequence[Finding]) -> tuple[Verdict, str]:
    """One answer for many claims: a yes needs all that were tested, and none the other way."""
    outcomes = [finding.outcome for finding in found if finding.outcome is not Outcome.CANNOT_TELL]
    shown, opposite = outcomes.count(Outcome.SHOWN), outcomes.count(Outcome.OPPOSITE)
    if not outcomes:
        return Verdict.CANNOT_TELL, "cannot tell"
    if shown == len(outcomes):
        return Verdict.PASS, "yes"
    if opposite == len(outcomes):
        return Verdict.FAIL, "no, it harms"
    if opposite:
        return Verdict.CANNOT_TELL, "both better and worse" if shown else "not shown, and in part it harms"
    return Verdict.CANNOT_TELL, "in part" if shown else "not shown"


def _subtitle(analysis: Analysis) -> str:
    experiment = analysis.experiment
    kinds = list(dict.fromkeys(sweep.kind_of(facts) for facts in experiment.recordings.values()))
    seeds = len(experiment.seeds)
    return (
        f"The experiments of the DAE-NR paper on {words.listed(sorted(experiment.recordings))} "
        f"({words.listed(kinds)}), {seeds} {'seed' if seeds == 1 else 'seeds'}: {experiment.count('finished')} of "
        f"{len(experiment.results.runs)} runs finished."
    )


def _caveats(analysis: Analysis) -> list[str]:
    experiment = analysis.experiment
    found = []
    if missing := experiment.count("missing"):
        found.append(f"The sweep is unfinished: {missing} runs are to come. What is shown is what has finished.")
    if failed := experiment.count("failed"):
        found.append(f"{failed} runs failed, and are missing from the means.")
    if not all(facts.published for facts in experiment.recordings.values()):
        which = [region for region, facts in sorted(experiment.recordings.items()) if not facts.published]
        found.append(
            f"{words.listed(which)}: not the recordings of the paper, so its figures do not stand beside these, and "
            "nothing here confirms or refutes it for mice."
        )
    if len(experiment.seeds) == 1:
        found.append("With one seed there is no spread: no interval, and no test.")
    mixed = {name: values for name, values in sweep.settings_of(experiment).items() if len(values) > 1}
    if mixed:
        listed = "; ".join(f"{name} is {words.listed(values, 'or')}" for name, values in mixed.items())
        found.append(f"Not all fits had the same settings: {listed}. Differences may come from that.")
    return found


def _cite(analysis: Analysis) -> str:
    experiment = analysis.experiment
    prints = ", ".join(f"{name} {facts.fingerprint[:12]}" for name, facts in sorted(experiment.recordings.items()))
    return f"Sweep of daenr with code {experiment.results.code[:16]}; recordings {prints}."
