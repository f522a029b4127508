"""`daenr-bench`: measure a bundle, look at the machine. Starts without torch and without any engine."""

from __future__ import annotations

from pathlib import Path

import click

from daenr_bench.comparison.command import compare
from daenr_bench.gpu_check.command import gpu_check
from daenr_bench.paper.command import paper
from daenr_bench.report.command import report
from daenr_bench.roofline.command import roofline
from daenr_bench.run_command import run
from daenr_common.cli import Group
from daenr_common.verdict import Verdict

_PATH = click.Path(path_type=Path)

_HELP = """Does a bundle still do what its checkpoint did, and how fast?

\b
Examples:
  daenr-bench doctor                                      what can run here?
  daenr-bench run cae_fr2.daenr                           every backend: parity, latency, cold start, throughput
  daenr-bench run cae_fr2.daenr --checkpoint cae_fr2.pt --json results.json
  daenr-bench report results.json --html report.html      verdicts and distributions as a page
  daenr-bench compare main.daenr change.daenr             slower, same or faster? A gate for CI
  daenr-bench paper results --output report               a sweep as the paper's tables and figures
  daenr-bench roofline cae_fr2.daenr                      how far from what this core can do?
  daenr-bench gpu-check --output gpu-check.tar.gz         everything that a GPU can show, to send back
  daenr-bench log session.daenrlog                        what became of a closed loop's frames?
"""

_LOG_HELP = """Summarize FILE, the frame log of a closed loop: what became of the frames, how long the stages took.

A stage counts all frames that went through it, late ones too. Percentiles are measured values, and one for which there
are too few frames is refused. The rows go to CSV, Parquet (pip install 'daenr[parquet]') and NWB ('daenr[nwb]'); files
appear whole or not at all.

\b
Examples:
  daenr-bench log session.daenrlog
  daenr-bench log session.daenrlog --json summary.json --csv frames.csv
  daenr-bench log session.daenrlog --nwb frames.nwb --force

\b
Exit codes, after everything asked for is written:
  0  every frame is accounted for (which late, dropped and faulty frames are)
  1  rows are lost: the disk was full or too slow
  2  unusable input
  3  cannot tell: the loop was killed or writes still, the file was cut, or there is no frame
"""


@click.group(name="daenr-bench", cls=Group, help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="daenr")
def main() -> None:
    """See _HELP."""


main.add_command(run)
main.add_command(compare)
main.add_command(report)
main.add_command(paper)
main.add_command(roofline)
main.add_command(gpu_check)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the diagnosis as JSON.")
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Show what can run here, what to install for the rest, and what would spoil a measurement.

    Changes nothing. Exit code 0 if at least one backend can run, 3 if none can.
    """
    from daenr_bench.doctor import diagnose, print_diagnosis

    found = diagnose()
    if as_json:
        click.echo(found.json_text(), nl=False)
    else:
        print_diagnosis(found)
    context.exit(found.verdict.exit_code)


@main.command(help=_LOG_HELP)
@click.argument("file", type=_PATH)
@click.option("--json", metavar="FILE", type=_PATH, help="Write the summary.")
@click.option("--csv", metavar="FILE", type=_PATH, help="Write a line for each frame.")
@click.option("--parquet", metavar="FILE", type=_PATH, help="Write a row for each frame.")
@click.option("--nwb", metavar="FILE", type=_PATH, help="Write the frames as a table of time intervals.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.pass_context
def log(
    context: click.Context,
    file: Path,
    json: Path | None,
    csv: Path | None,
    parquet: Path | None,
    nwb: Path | None,
    force: bool,
) -> None:
    """See _LOG_HELP."""
    from daenr_bench.frame_log.convert import Outputs
    from daenr_bench.frame_log.printing import print_summary
    from daenr_bench.frame_log.summary import summarize
    from daenr_export.loop.log import read_log

    wanted = Outputs(json, csv, parquet, nwb)
    wanted.check(file, force=force)
    run = read_log(file)
    summary = summarize(run)
    print_summary(summary)
    for path in wanted.write(run, summary):
        click.echo(f"wrote {path}")
    context.exit(Verdict(summary.verdict).exit_code)


if __name__ == "__main__":
    main()
