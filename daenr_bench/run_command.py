"""`daenr-bench run`: its options, and what they come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from daenr_bench.plan import NAMES, plan_of
from daenr_common.cli import INTERRUPTED
from daenr_common.errors import DaenrError
from daenr_common.verdict import Verdict

_PATH = click.Path(path_type=Path)

_HELP = """Measure BUNDLE on every backend that can run here, interleaved in one run.

All answers are compared with the bundle's golden answers first, at several batch sizes, and those of some timed calls
again: an engine that is fast because it is wrong fails, and gets no figure. What may be lost of the science, such as
the correlation of each neuron, is declared in margins. Percentiles are measured values, and one for which there are
too few samples is refused.

\b
Scenarios, never merged into one figure (by default the first, second, fourth and fifth):
  burst       every graph, the next call when the last returned
  paced       a rig's loop: frames on a fixed schedule, latency from the instant a frame is due, missed deadlines
  paced-warm  the same, the engine running while the loop waits
  cold        a new process: from its start, and from the opened bundle, to the first answer
  throughput  images per second by batch size
  soak        a paced loop for minutes to hours: drift, memory, rare stalls
All but burst measure the graph that a rig runs: responses, or else the first.

\b
Examples:
  daenr-bench run cae_fr2.daenr
  daenr-bench run cae_fr2.daenr --checkpoint cae_fr2.pt --json results.json
  daenr-bench run cae_fr2.daenr --data insilico --margins margins.json --json results.json
  daenr-bench run cae_fr2.daenr --checkpoint cae_fr2.pt --save-answers --json ci.json    (in CI)
  daenr-bench run cae_fr2.daenr --reference ci.json --json rig.json                      (on the rig)
  daenr-bench run cae_fr2.daenr --scenario paced --rate 500 --deadline-ms 1 --keep-warm
  daenr-bench run cae_fr2.daenr --backend onnxruntime --scenario soak --duration 1h --json soak.json
  daenr-bench run cae_fr2.daenr --graph responses --scenario burst --samples 7000

\b
Exit codes:
  0    pass
  1    an answer is wrong or breaks a margin, a backend died, or a deadline that was asked for is missed too often
  2    unusable input
  3    nothing could be measured
  130  interrupted: what was measured by then is reported
"""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Duration(click.ParamType[float]):
    """A time like 90s, 10m or 1h, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds; a bare number is seconds."""
        if isinstance(value, float):
            return value
        unit = value[-1:] if value[-1:] in _UNITS else ""
        try:
            seconds = float(value.removesuffix(unit)) * _UNITS.get(unit, 1.0)
        except ValueError:
            self.fail(f"{value!r} is no duration like 90s, 10m or 1h", param, ctx)
        if not 0 < seconds < float("inf"):
            self.fail(f"{value!r} is not longer than nothing", param, ctx)
        return seconds


@click.command(name="run", help=_HELP)
@click.argument("bundle", type=_PATH)
@click.option("--checkpoint", type=_PATH, help="What the bundle was exported from: measure PyTorch beside it.")
@click.option("--json", "json_file", metavar="FILE", type=_PATH, help="Write the result; raw samples go beside it.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.option(
    "--margins", metavar="FILE", type=_PATH, help="What may be lost of the science, as JSON. [default: daenr's]"
)
@click.option("--data", type=_PATH, help="The recording that the model was fitted to: is the fit to it kept?")
@click.option("--region", help="Of the recording. [default: the one that the model was fitted to]")
@click.option("--reference", metavar="FILE", type=_PATH, help="A run with --save-answers, to compare answers with.")
@click.option("--save-answers", is_flag=True, help="Keep the reference's answers beside --json, for --reference.")
@click.option("--backend", "backends", metavar="NAME", multiple=True, help="Only this one, or a peer; may be repeated.")
@click.option("--peers", is_flag=True, help="Measure beside others' runtimes: all peers that can run here.")
@click.option("--graph", "graphs", metavar="NAME", multiple=True, help="Only this one; may be repeated.")
@click.option("--scenario", "scenarios", type=click.Choice(NAMES), multiple=True, help="May be repeated.")
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    help="Timed calls of each graph on each backend in burst (1000), frames in paced (700). p99 needs 662, p99.9 6636.",
)
@click.option(
    "--rate",
    "rate_hz",
    metavar="HZ",
    type=click.FloatRange(min=0.1, max=100_000),
    default=100.0,
    show_default=True,
    help="Frames per second in paced and soak.",
)
@click.option(
    "--deadline-ms",
    type=click.FloatRange(min=0, min_open=True),
    help="Of each frame, from the instant it is due; then it is a part of the verdict. [default: the period, no part]",
)
@click.option("--keep-warm", is_flag=True, help="Run the engine while waiting: in soak, and beside paced.")
@click.option(
    "--duration",
    "duration_s",
    type=Duration(),
    default="60s",
    show_default=True,
    help="Of a soak, for each backend: 90s, 10m, 1h.",
)
@click.option("--loadgen", is_flag=True, help="Also run MLPerf LoadGen on the same sessions.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Decides which timed answers are compared.",
)
@click.pass_context
def run(
    context: click.Context,
    /,
    bundle: Path,
    checkpoint: Path | None,
    json_file: Path | None,
    backends: tuple[str, ...],
    graphs: tuple[str, ...],
    *,
    peers: bool,
    margins: Path | None,
    data: Path | None,
    region: str | None,
    reference: Path | None,
    save_answers: bool,
    force: bool,
    **planned: Any,
) -> None:
    """See _HELP."""
    from daenr_bench.result_files import check_output
    from daenr_bench.run import benchmark
    from daenr_bench.table import print_result
    from daenr_bench.yardstick import Against

    if json_file is not None and json_file == reference:
        raise DaenrError(json_file, "is the reference itself", "choose another output")
    if json_file is not None:
        check_output(json_file, force=force)
    elif save_answers:
        raise DaenrError("--save-answers", "puts answers beside the result, and none is written", "add --json FILE")
    plan = plan_of(planned.pop("scenarios"), **planned)
    against = Against(margins, data, region, reference, save_answers)
    report = benchmark(
        bundle,
        checkpoint=checkpoint,
        backends=backends or None,
        peers=peers,
        graphs=graphs or None,
        plan=plan,
        against=against,
    )
    print_result(report.result)
    if json_file is not None:
        written = report.write(json_file)
        click.echo(f"wrote {json_file} and {json_file.with_name(written.samples.file) if written.samples else ''}")
        if save_answers and not (written.standard and written.standard.answers):
            click.echo("saved no answers: no engine that computes in fp32 gave right ones")
    verdict = report.result.verdict
    interrupted = not report.result.complete and verdict is not Verdict.FAIL
    context.exit(INTERRUPTED if interrupted else verdict.exit_code)
