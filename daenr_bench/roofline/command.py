"""`daenr-bench roofline`: its options, and what they come to."""

from __future__ import annotations

from pathlib import Path

import click

from daenr_common.cli import INTERRUPTED
from daenr_common.verdict import Verdict

_PATH = click.Path(path_type=Path)

_HELP = """How far from the limit is BUNDLE on this machine?

Counts the multiply-adds and the bytes of each layer; measures how many multiply-adds one core does (float32, and dot
products of bf16 and int8 where the processor has them) and how fast it reads from its caches; times every backend that
can run here, back to back, one image a call; and says how much of each backend's time the core could not do without.

A share of 0.5 says that a perfect program would take half the time. Little is to be gained near 1, and much below 0.3.
The limit is that of the direct method on one core; what a call does beside multiplying is not in it.

The kernels that measure the core are compiled for it: pip install 'daenr[native,bench]'.

\b
Examples:
  daenr-bench roofline cae_fr2.daenr
  daenr-bench roofline cae_fr2.daenr --graph responses --json roofline.json
  daenr-bench roofline cae_fr2.daenr --backend native --backend onnxruntime:threads=2

\b
Exit codes:
  0    measured
  1    a backend answered wrongly or died
  2    unusable input
  3    cannot tell: no backend that computes on this processor could be timed
  130  interrupted: while backends are timed, what was measured by then is reported
"""


@click.command(name="roofline", help=_HELP)
@click.argument("bundle", type=_PATH)
@click.option("--graph", "graphs", metavar="NAME", multiple=True, help="Only this one; may be repeated.")
@click.option("--backend", "backends", metavar="NAME", multiple=True, help="Only this one; may be repeated.")
@click.option("--checkpoint", type=_PATH, help="What the bundle was exported from: measure PyTorch too.")
@click.option(
    "--samples", type=click.IntRange(min=11), help="Timed calls of each graph on each backend.  [default: 1000]"
)
@click.option(
    "--json", "json_file", metavar="FILE", type=_PATH, help="Write all that was found, also what no table shows."
)
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@click.pass_context
def roofline(
    context: click.Context,
    /,
    bundle: Path,
    graphs: tuple[str, ...],
    backends: tuple[str, ...],
    checkpoint: Path | None,
    samples: int | None,
    json_file: Path | None,
    *,
    force: bool,
) -> None:
    """See _HELP."""
    from daenr_bench.roofline.roofline import roofline as find_limits
    from daenr_bench.roofline.table import print_roofline
    from daenr_common.files import atomic_file, check_output_file

    if json_file is not None:
        check_output_file(json_file, force=force)
    found = find_limits(
        bundle, graphs=graphs or None, backends=backends or None, checkpoint=checkpoint, samples=samples
    )
    print_roofline(found)
    if json_file is not None:
        with atomic_file(json_file) as temporary:
            temporary.write_text(found.json_text(), encoding="utf-8")
        click.echo(f"wrote {json_file}")
    interrupted = not found.complete and found.verdict is not Verdict.FAIL
    context.exit(INTERRUPTED if interrupted else found.verdict.exit_code)
