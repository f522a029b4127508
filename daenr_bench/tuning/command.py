"""`daenr-export tune`: its options, and what is printed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from daenr_common.cli import print_table

if TYPE_CHECKING:
    from daenr_export.runtime.profile import Evidence

_HELP = """Find the backend that answers BUNDLE best on this machine, and note it beside the bundle.

Every backend that can run here, with one thread and with two, answers the rig's graph in bursts and on a schedule,
resting between frames and kept warm, side by side in one run. Only candidates whose answers are right take part, and
the shortest 99th percentile on the schedule wins. daenr_export.load(BUNDLE) then picks it by itself, on this kind of
machine; --backend and load(backend=...) still decide otherwise.

\b
Examples:
  daenr-export tune cae_fr2.daenr
  daenr-export tune cae_fr2.daenr --rate 500 --no-keep-warm

\b
Exit codes: 0 a profile was written, 2 unusable input or nothing to choose from, 130 interrupted (nothing is written).
"""


@click.command(name="tune", help=_HELP)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--graph", metavar="NAME", help="What the rig runs.  [default: responses, or else the first]")
@click.option(
    "--rate",
    "rate_hz",
    metavar="HZ",
    type=click.FloatRange(min=0.1, max=100_000),
    default=100.0,
    show_default=True,
    help="Frames per second.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=700,
    show_default=True,
    help="Frames of each candidate; a 99th percentile needs 662.",
)
@click.option("--keep-warm/--no-keep-warm", default=True, help="Whether engines may run while the loop waits.")
def tune(bundle: Path, graph: str | None, rate_hz: float, samples: int, keep_warm: bool) -> None:
    """See _HELP."""
    from daenr_bench.tuning.tune import tune as find_best

    tuned = find_best(bundle, graph=graph, rate_hz=rate_hz, samples=samples, keep_warm=keep_warm)
    profile = tuned.profile
    print_table(["backend", "scenario", "N", "p50 µs", "p99 µs", "problem"], map(_row, profile.evidence))
    for skip in tuned.skipped:
        click.echo(f"left out {skip.backend}: {skip.reason}")
    warm = ", and Model.realtime(keep_warm=True)" if profile.keep_warm else ""
    click.echo(f"\n{profile.graph} at {profile.rate_hz:g} Hz: {profile.backend}{warm} ({profile.reason})")
    click.echo(f"wrote {tuned.path}")


def _row(evidence: Evidence) -> list[str]:
    times = ("–" if ns is None else f"{ns / 1000:.1f}" for ns in (evidence.p50_ns, evidence.p99_ns))
    return [evidence.backend, evidence.scenario, str(evidence.n), *times, evidence.problem]
