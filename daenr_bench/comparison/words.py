"""A comparison as tables: on a terminal, and as Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Iterator

import click
from tabulate import tabulate

from daenr_bench.comparison.document import Comparison, Line, Pair
from daenr_common.cli import print_table

NONE = "–"
HEADERS = ("backend", "", "BASE µs", "HEAD µs", "HEAD/BASE", "between", "counts from", "rounds", "verdict")


def print_comparison(comparison: Comparison) -> None:
    """Print the figures, what to know of them, and the verdict as the last line."""
    click.echo(f"{_title(comparison)}: {_names(comparison)}")
    print_table(HEADERS, _rows(comparison))
    click.echo()
    for remark in _remarks(comparison):
        click.echo(remark)
    click.echo(f"\n{verdict_line(comparison)}")


def markdown(comparison: Comparison) -> str:
    """The same for a pull request: the verdict first."""
    rows = [[cell.replace("|", "\\|") for cell in row] for row in _rows(comparison)]
    table = tabulate(rows, headers=HEADERS, tablefmt="pipe", disable_numparse=True)
    remarks = "\n".join(f"- {remark}" for remark in _remarks(comparison))
    title = f"### {verdict_line(comparison)}"
    return f"{title}\n\n{_title(comparison)}: {_names(comparison)}\n\n{table}\n\n{remarks}\n"


def verdict_line(comparison: Comparison) -> str:
    """The verdict on HEAD."""
    end = "" if comparison.complete else " (interrupted: not all was measured)"
    return f"{comparison.head.name}: {comparison.word}{end}"


def _title(comparison: Comparison) -> str:
    graphs = ", ".join(dict.fromkeys(pair.graph for pair in comparison.pairs)) or "nothing"
    return f"{graphs}, {comparison.scenario}"


def _names(comparison: Comparison) -> str:
    base, head = comparison.base, comparison.head
    return f"HEAD {head.name} ({head.model}), BASE {base.name} ({base.model})"


def _rows(comparison: Comparison) -> list[list[str]]:
    rows = []
    for pair in comparison.pairs:
        rows += [_row(pair, line) for line in pair.lines] or [[pair.backend, *[NONE] * 6, NONE, pair.word]]
    return rows


def _row(pair: Pair, line: Line) -> list[str]:
    return [
        pair.backend,
        line.figure,
        *(NONE if ns is None else f"{ns / 1000:.1f}" for ns in (line.base_ns, line.head_ns)),
        NONE if line.ratio is None else f"{line.ratio:.3f}",
        NONE if line.low is None or line.high is None else f"{line.low:.3f} … {line.high:.3f}",
        NONE if line.margin is None else f"±{line.margin:.1%}",
        str(pair.rounds),
        line.effect,
    ]


def _remarks(comparison: Comparison) -> Iterator[str]:
    confidence = comparison.settings["confidence"]
    yield (
        f"latency of single images; intervals by bootstrap over whole rounds, {confidence:.1%} each: together, the "
        "verdicts on p50 are right with 95 % confidence"
    )
    reasons: dict[str, list[str]] = {}
    for pair in comparison.pairs:
        yield from (f"{pair.word} on {pair.backend}: {problem}" for problem in pair.problems)
        for line in pair.lines:
            if line.reason:
                reasons.setdefault(line.reason, []).append(f"{line.figure} on {pair.backend}")
    yield from (f"cannot tell {', '.join(figures)}: {reason}" for reason, figures in reasons.items())
    yield from (f"note: {note}" for note in comparison.notes)
    if comparison.skipped:
        # Why each cannot run is what `daenr-bench doctor` tells.
        yield f"skipped: {', '.join(skip.backend for skip in comparison.skipped)}"
