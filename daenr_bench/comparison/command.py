"""`daenr-bench compare`: its options, and what they come to."""

from __future__ import annotations

from pathlib import Path

import click

from daenr_common.cli import INTERRUPTED
from daenr_common.verdict import Verdict

_PATH = click.Path(path_type=Path)

_HELP = """Compare HEAD with BASE: is it as right, and as fast? A gate for CI.

Both are bundles, which are then measured together: in rounds that alternate between them, each opened anew in every
round, until an interval around HEAD/BASE is narrow enough for a verdict, in up to five times --rounds. Or both are
results of daenr-bench run on the same machine.

Answers come first: a bundle that answers wrongly fails, whatever its speed. A difference counts if it exceeds both the
margin and the floor.

\b
Examples:
  daenr-bench compare main.daenr change.daenr
  daenr-bench compare main.daenr change.daenr --backend onnxruntime --margin 0.1 --markdown verdict.md
  daenr-bench compare main.daenr change.daenr --scenario paced --rate 100
  daenr-bench compare before.json after.json

\b
Verdicts and exit codes:
  0    same or faster: the whole interval lies within the margin, or below it
  1    slower (p50 or p99: the whole interval lies above the margin), or wrong answers, or HEAD died
  2    unusable input
  3    cannot tell: the machine is too noisy, results of different machines or settings, or BASE died
  130  interrupted: what was measured by then is reported
"""


@click.command(name="compare", help=_HELP)
@click.argument("base", type=_PATH)
@click.argument("head", type=_PATH)
@click.option("--graph", metavar="NAME", help="What is compared. [default: responses, or the first that both have]")
@click.option("--backend", "backends", metavar="NAME", multiple=True, help="Only this one; may be repeated.")
@click.option("--scenario", type=click.Choice(["burst", "paced"]), default="burst", show_default=True)
@click.option("--rounds", type=click.IntRange(min=5), help="Before the first look (10). Bundles only.")
@click.option(
    "--rate", "rate_hz", metavar="HZ", type=click.FloatRange(min=0.1, max=100_000), help="Of paced (100). Bundles only."
)
@click.option("--margin", type=click.FloatRange(min=0, min_open=True, max=10), default=0.05, show_default=True)
@click.option("--floor-us", type=click.FloatRange(min=0), default=5.0, show_default=True, help="In microseconds.")
@click.option("--json", "json_file", metavar="FILE", type=_PATH, help="Write the comparison.")
@click.option("--markdown", "markdown_file", metavar="FILE", type=_PATH, help="Write it for a pull request.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.pass_context
def compare(
    context: click.Context,
    /,
    base: Path,
    head: Path,
    graph: str | None,
    backends: tuple[str, ...],
    *,
    scenario: str,
    rounds: int | None,
    rate_hz: float | None,
    margin: float,
    floor_us: float,
    json_file: Path | None,
    markdown_file: Path | None,
    force: bool,
) -> None:
    """See _HELP."""
    from daenr_bench.comparison import Criteria, Plan, are_results
    from daenr_bench.comparison import compare as compare_both
    from daenr_bench.comparison.rounds import BurstTimer, PacedTimer, Timer
    from daenr_bench.comparison.words import markdown, print_comparison
    from daenr_bench.scenarios.pacing import Pace
    from daenr_common.files import atomic_file, check_output_file

    if are_results(base, head) and (rounds or rate_hz):
        raise click.UsageError("--rounds and --rate are for bundles: results were measured before")
    if rate_hz is not None and scenario != "paced":
        raise click.UsageError("--rate is for --scenario paced")
    for wanted in filter(None, (json_file, markdown_file)):
        check_output_file(wanted, force=force)
    timer: Timer = BurstTimer() if scenario == "burst" else PacedTimer(Pace(rate_hz or 100.0))
    plan = Plan(timer, rounds or 10, Criteria(margin, floor_us * 1000))
    comparison = compare_both(base, head, graph=graph, backends=backends or None, plan=plan)
    print_comparison(comparison)
    for output, text in ((json_file, comparison.json_text()), (markdown_file, markdown(comparison))):
        if output is not None:
            with atomic_file(output) as temporary:
                temporary.write_text(text, encoding="utf-8")
            click.echo(f"wrote {output}")
    verdict = comparison.verdict
    # Results may be of a run that was interrupted; what was asked for now has been done.
    was_interrupted = not comparison.complete and comparison.measured == "together"
    context.exit(INTERRUPTED if was_interrupted and verdict is not Verdict.FAIL else verdict.exit_code)
