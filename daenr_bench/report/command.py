"""`daenr-bench report`: its options, and what they come to."""

from __future__ import annotations

from pathlib import Path

import click

_PATH = click.Path(path_type=Path)

_HELP = """Show RESULTS, which `daenr-bench run --json` wrote: verdicts first, then every distribution behind them.

The page is one file that needs no network and no scripts: mail it, archive it, cite it. The Markdown is for a pull
request or a CI summary; without any output it is printed. The raw samples are taken from beside the result where they
are there. With the bundle, its golden images are answered here, to show accuracy by neuron and reconstructions.

\b
Examples:
  daenr-bench report results.json --html report.html --bundle cae_fr2.daenr
  daenr-bench report results.json >> "$GITHUB_STEP_SUMMARY"

\b
Exit codes: 0 written, whatever the verdict, which is that of `daenr-bench run`; 2 unusable input.
"""


@click.command(help=_HELP)
@click.argument("results", type=_PATH)
@click.option("--html", metavar="FILE", type=_PATH, help="Write a page.")
@click.option("--markdown", metavar="FILE", type=_PATH, help="Write Markdown.")
@click.option("--bundle", type=_PATH, help="What was measured: show accuracy by neuron, and reconstructions.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
def report(results: Path, html: Path | None, markdown: Path | None, bundle: Path | None, force: bool) -> None:
    """See _HELP."""
    from daenr_bench.report import write
    from daenr_bench.report.markdown import markdown as text_of

    write.check_outputs(results, [path for path in (html, markdown) if path is not None], force=force)
    source = write.report_source(results, bundle)
    for path in write.write_report(source, html, markdown):
        click.echo(f"wrote {path}")
    if html is None and markdown is None:
        click.echo(text_of(source), nl=False)
