"""The report as Markdown for a pull request: verdicts, latency, accuracy, and what was not measured.

Whatever comes from a file stands in a code span, in which nothing is markup, a link or a mention.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from daenr_bench.contract import TITLES, Kept, contract_of, figure, limit
from daenr_bench.report import words
from daenr_bench.report.answers import LOOPS, WORDS, Answer, answers_of, headline_of, subject
from daenr_bench.report.sections.common import bound, named, p
from daenr_bench.report.source import Source
from daenr_bench.result import Accuracy, Result
from daenr_common.verdict import Verdict

_SIGNS = {Verdict.PASS: "✅", Verdict.FAIL: "❌", Verdict.CANNOT_TELL: "❔"}


def markdown(source: Source) -> str:
    """The report, as text that ends with a line break."""
    result = source.result
    answers = answers_of(source)
    headline = headline_of(answers, code)
    state = "" if result.complete else ", **incomplete**: the run was interrupted"
    parts = [
        f"### {code(result.bundle.name)}: {_SIGNS[headline.verdict]} {headline.question}",
        f"**{headline.answer}** Verdict of the whole run: **{result.verdict.value}**{state}.",
        _table(("engine", "between frames", "trust it?", "p50, µs", "p99 at most, µs", "why"), map(_answer, answers)),
        "#### Latency of one image, µs",
        _table(("graph", "engine", "loop", "p50", "p99", "p99 at most", "max", "calls", "faster"), _latencies(source)),
        "#### Accuracy",
        *_margins(result),
        _table(("graph", "engine", "right?", "largest error ÷ scale", "batches"), map(_accuracy, result.accuracy)),
        *_skips(source),
        _origin(result),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _margins(result: Result) -> list[str]:
    kept = contract_of(result.accuracy)
    heads = ("margin", "", "kept?", "worst", "where")
    return [_table(heads, map(_margin, kept))] if kept else []


def _origin(result: Result) -> str:
    daenr = result.packages.get("daenr", words.NONE)
    return (
        f"<sub>Measured {code(result.started_at)} on {code(result.machine.processor)}, {result.machine.usable_cores} "
        f"cores, with daenr {code(daenr)}. Percentiles are measured values; “at most” holds with 99 % confidence. "
        "Figures of different machines or runs do not compare.</sub>"
    )


def code(text: str) -> str:
    """A text from a file as a code span that also fits into a table."""
    plain = " ".join(text.split()).replace("`", "'").replace("|", "\\|")
    return f"`{plain}`" if plain else words.NONE


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return (
        "\n".join([f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *lines]) if lines else "Nothing was measured."
    )


def _answer(answer: Answer) -> tuple[str, ...]:
    latency = answer.measurement.latency if answer.measurement is not None else None
    reason = answer.reason + (f" But it {'; '.join(answer.caveats)}." if answer.caveats else "")
    return (
        f"{code(answer.graph)} on {code(answer.backend)}",
        answer.loop or words.NONE,
        f"{_SIGNS[answer.verdict]} {WORDS[answer.verdict]}",
        words.microseconds(p(latency, "p50")),
        words.microseconds(bound(latency, "p99")),
        # Reasons hold texts of libraries where something went wrong, and only then.
        reason if answer.measurement is not None and answer.verdict is Verdict.PASS else code(reason),
    )


def _latencies(source: Source) -> Iterable[tuple[str, ...]]:
    for m in source.of("burst", *LOOPS):
        if m.latency is not None:
            percentiles = (p(m.latency, "p50"), p(m.latency, "p99"), bound(m.latency, "p99"), m.latency.max_ns)
            faster = words.NONE if m.times_faster is None else f"{m.times_faster:.2f} ×"
            loop = named(m.scenario) if m.complete else f"{named(m.scenario)} (incomplete)"
            yield (
                code(m.graph),
                code(source.titled(m.backend)),
                loop,
                *map(words.microseconds, percentiles),
                words.count(m.latency.n),
                faster,
            )


def _accuracy(accuracy: Accuracy) -> tuple[str, ...]:
    error = accuracy.worst("max_error_over_scale")
    word = "✅ yes" if accuracy.verdict == "pass" else f"❌ no: {code('; '.join(accuracy.problems))}"
    batches = ", ".join(str(batch) for batch in dict.fromkeys(parity.batch for parity in accuracy.parity))
    shown = words.NONE if error is None else words.scientific(error)
    return code(accuracy.graph), code(accuracy.backend), word, shown, batches


def _margin(kept: Kept) -> tuple[str, ...]:
    where = f"{code(kept.accuracy.graph)} on {code(kept.accuracy.backend)}"
    return (
        TITLES[kept.metric],
        limit(kept.metric, kept.margin),
        f"{_SIGNS[kept.verdict]} {kept.verdict.value}",
        figure(kept.metric, kept.worst.value),
        code(kept.worst.reason) if kept.worst.value is None else where,
    )


def _skips(source: Source) -> list[str]:
    result = source.result
    dead = [
        f"- {code(subject(m))}, {named(m.scenario)}: {code('; '.join(m.problems))}"
        for m in result.measurements
        if m.problems
    ]
    lines = [
        f"- {code(skip.backend)}{f' ({code(skip.graph)})' if skip.graph else ''}: "
        f"{code(skip.reason.removeprefix(f'{skip.backend}: '))}"
        for skip in result.skipped
    ]
    parts = ["#### What went wrong", "\n".join(dead)] if dead else []
    return parts + (["<details><summary>Not measured</summary>", "\n".join(lines), "</details>"] if lines else [])
