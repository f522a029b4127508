"""`daenr-bench paper`: what it takes and what it prints."""

from __future__ import annotations

from pathlib import Path

import click

from daenr_bench.paper.metrics import CORRELATIONS

_PATH = click.Path(path_type=Path)

_HELP = """Make the paper's tables 2 to 6 and figures 2 to 4 of RESULTS, the folder of a daenr-train sweep.

Means with 95 % intervals over seeds, the best in bold, a paired test of each claim (corrected by Holm), and beside them
the paper's own figures where the recordings are the paper's. What the sweep does not have is named. The folder holds
report.html (one page, without scripts, that needs no network), report.md, figure2.png, and the figures as CSV.

\b
Examples:
  daenr-train sweep --grid smoke --output results && daenr-bench paper results --output report
  daenr-bench paper results --output report --correlation single-trial --force

\b
Exit codes: 0 written, whatever the claims come to; 2 unusable input.
"""


@click.command(help=_HELP)
@click.argument("results", type=_PATH)
@click.option("--output", required=True, metavar="FOLDER", type=_PATH, help="Write the report there.")
@click.option(
    "--correlation",
    type=click.Choice(list(CORRELATIONS)),
    default="average",
    show_default=True,
    help="What tables 4 and 6 correlate predictions with: the average of the repeats, or single trials.",
)
@click.option("--force", is_flag=True, help="Replace a report that is there.")
def paper(results: Path, output: Path, correlation: str, force: bool) -> None:
    """See _HELP."""
    from daenr_bench.paper.document import document_of
    from daenr_bench.paper.write import PAGE, write_paper

    headline = document_of(write_paper(results, output, correlation, force=force)).headline
    click.echo(f"{headline.question} {headline.answer} {headline.detail}")
    click.echo(f"wrote {output / PAGE} and what belongs to it")
