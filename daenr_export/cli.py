"""`daenr-export`: make a bundle of a checkpoint, verify one, look into one. Starts without torch."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from pathlib import Path

import click

from daenr_common.cli import Group
from daenr_common.files import atomic_file, check_output_file
from daenr_export.exporting import options
from daenr_export.native.targets import TARGETS

_HELP = """Export a trained DAE-NR model as a bundle: ONNX graphs, TensorRT engines, golden answers, manifest.

\b
Examples:
  daenr-export --checkpoint cae_fr2.pt                    graphs only, to cae_fr2.daenr
  daenr-export --checkpoint cae_fr2.pt --trt              and an engine for each graph
  daenr-export --checkpoint cae_fr2.pt --trt --precision fp16 --batch 1:1:8
  daenr-export --checkpoint cae_fr2.pt --native           and compiled C for the processor of this machine
  daenr-export --checkpoint cae_fr2.pt --native --precision auto --data recording
  daenr-export verify cae_fr2.daenr                       does it still do what the checkpoint did?
  daenr-export inspect cae_fr2.daenr                      what is in it?
  daenr-export tune cae_fr2.daenr                         which backend is best on this machine?

The bundle is verified on every backend that runs here; what cannot run here (an engine without a GPU) is shown as
"cannot tell", never as passed.

\b
Exit codes: 0 verified, 1 an answer is wrong, 2 unusable input, 3 nothing could be run here.
"""


COMMANDS = "daenr.export_commands"
"""Group of entry points under which what builds on this package adds its commands, such as `tune`."""

_VERIFY_HELP = """Check that BUNDLE still does what its checkpoint did.

Every file must match its hash, and every graph must answer the golden images as the PyTorch model did: at several batch
sizes, on every backend that runs here and on onnx's reference evaluator. Engines are checked as far as this machine
allows. A backend that is named with --backend must be able to run.

\b
Examples:
  daenr-export verify cae_fr2.daenr
  daenr-export verify cae_fr2.daenr --backend tensorrt-rtx --json report.json

\b
Exit codes: 0 pass, 1 fail, 2 unusable input, 3 nothing could be run here.
"""


@click.group(
    name="daenr-export",
    cls=Group,
    invoke_without_command=True,
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="daenr")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Checkpoint that daenr-train fit wrote.")
@click.option(
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of the bundle.  [default: the checkpoint's path with .daenr in place of .pt]",
)
@click.option("--trt", is_flag=True, help="Build a TensorRT engine for each graph.")
@click.option(
    "--precision",
    type=click.Choice(options.PRECISIONS),
    default="fp32",
    show_default=True,
    help="What engines and compiled C compute in. tf32 is for --trt. fp16 and int8 add a typed variant of each graph, "
    "from which engines are built. With --native, bf16, int8 and auto, the fastest, are for processors with Intel AMX, "
    "int8 also with AVX-512 VNNI. int8 and bf16: for as many layers as the margins of the science allow.",
)
@click.option(
    "--batch",
    metavar="MIN:OPT:MAX",
    default="1:1:64",
    show_default=True,
    help="Smallest, tuned and largest batch size.",
)
@click.option(
    "--input",
    "input_dtype",
    type=click.Choice(options.INPUTS),
    default="float32",
    show_default=True,
    help="What goes in: float32 in [-1, 1], or uint8 pixels 0…255, which the graphs then scale themselves.",
)
@click.option(
    "--trt-flavour",
    type=click.Choice(options.FLAVOURS),
    default="auto",
    show_default=True,
    help="rtx builds on any machine, without a GPU; enterprise builds on its target GPU; "
    "auto takes enterprise where it is installed and there is a GPU, else rtx.",
)
@click.option("--native", is_flag=True, help="Compile each graph as C, for one-frame latency on a processor.")
@click.option(
    "--target",
    "targets",
    type=click.Choice(TARGETS),
    multiple=True,
    help="Compile for another kind of machine; may be repeated.  [default: this one]",
)
@click.option(
    "--data",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Recording that the model was fitted to. fp16, bf16 and int8 must predict its responses as well as the "
    "checkpoint does; int8 graphs are calibrated on its images.",
)
@click.option("--region", metavar="NAME", help="Of the recording.  [default: the one that the model was fitted to]")
@click.option("--force", is_flag=True, help="Replace the bundle if it is there already.")
@click.pass_context
def main(
    context: click.Context,
    checkpoint: Path | None,
    output: Path | None,
    trt: bool,
    precision: str,
    batch: str,
    input_dtype: str,
    trt_flavour: str,
    native: bool,
    targets: tuple[str, ...],
    data: Path | None,
    region: str | None,
    force: bool,
) -> None:
    """See _HELP."""
    if context.invoked_subcommand is not None:
        if checkpoint is not None:
            raise click.UsageError(f"--checkpoint does not go together with {context.invoked_subcommand}")
        return
    if checkpoint is None:
        raise click.UsageError("Missing option '--checkpoint'.")
    from daenr_export import report
    from daenr_export.exporting.export import export

    made = export(
        checkpoint,
        output,
        trt=trt,
        precision=precision,
        batch=options.parse_batch(batch),
        input=input_dtype,
        trt_flavour=trt_flavour,
        native=native,
        targets=targets,
        data=data,
        region=region,
        force=force,
        progress=_progress,
    )
    report.print_export(made)
    context.exit(made.verification.verdict.exit_code)


@main.command("verify", help=_VERIFY_HELP)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--backend", "backends", metavar="NAME", multiple=True, help="Only this one; may be repeated.")
@click.option("--json", "json_file", metavar="FILE", type=click.Path(path_type=Path), help="Write the report, too.")
@click.option("--force", is_flag=True, help="Replace the report if it exists.")
@click.pass_context
def verify_command(
    context: click.Context, bundle: Path, backends: tuple[str, ...], json_file: Path | None, force: bool
) -> None:
    """See _VERIFY_HELP."""
    from daenr_export import report
    from daenr_export.verification.verify import verify

    if json_file is not None:
        check_output_file(json_file, force=force)
    found = verify(bundle, backends or None, progress=_progress)
    if json_file is not None:
        with atomic_file(json_file) as temporary:
            temporary.write_text(found.json_text(), encoding="utf-8")
    report.print_verification(found)
    context.exit(found.verdict.exit_code)


@main.command("inspect")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as it is.")
def inspect_command(bundle: Path, as_json: bool) -> None:
    """Show what is in BUNDLE: model, provenance, graphs, engines, parity and tools. Every file is checked first."""
    from daenr_export.bundle import Bundle
    from daenr_export.bundle.paths import MANIFEST
    from daenr_export.inspect import print_manifest

    opened = Bundle.open(bundle)
    if as_json:
        # Already read and checked above, and every byte of it is accounted for.
        click.echo((bundle / MANIFEST).read_text(encoding="utf-8"), nl=False)
    else:
        print_manifest(opened.manifest)


for _entry in entry_points(group=COMMANDS):  # daenr_bench knows this package, not the other way round
    main.add_command(_entry.load())


def _progress(line: str) -> None:
    """Say what is going on to who watches; logs and pipes get only results."""
    if sys.stderr.isatty():
        click.echo(f"{line} …", err=True)
