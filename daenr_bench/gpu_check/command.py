"""`daenr-bench gpu-check`: its options, and what they come to."""

from __future__ import annotations

from pathlib import Path

import click

from daenr_common.cli import INTERRUPTED
from daenr_common.verdict import Verdict
from daenr_export.tensorrt.gpu import why_no_gpu

_PATH = click.Path(path_type=Path)

_HELP = """Find out everything that this machine's GPU can show, and write it into one archive to send back.

Whether engines of both flavours of TensorRT open and match, as they are and as CUDA graphs; how fast they are, host to
host and by CUDA events, beside all peers; the tests that need a GPU, in a checkout; what the doctor says. Without
BUNDLE, one with random weights is exported for each flavour that is installed, which needs PyTorch. It takes some
minutes. The archive names neither the machine nor its user; its summary.json has the verdicts.

\b
Examples:
  daenr-bench gpu-check --output gpu-check.tar.gz
  daenr-bench gpu-check cae_fr2.daenr --checkpoint cae_fr2.pt --output gpu-check.tar.gz

\b
Exit codes, after the archive is written:
  0    pass
  1    an engine is wrong, a test failed, or something broke; the archive says what
  2    unusable input: nothing was tried
  3    cannot tell: there is no GPU (nothing is written), or nothing that can run on it
  130  interrupted: what was found until then is in the archive
"""


@click.command(name="gpu-check", help=_HELP)
@click.argument("bundle", type=_PATH, required=False)
@click.option("--checkpoint", type=_PATH, help="What BUNDLE was exported from: measure PyTorch beside it.")
@click.option("--output", metavar="FILE", type=_PATH, required=True, help="The archive to write, .tar.gz.")
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@click.pass_context
def gpu_check(context: click.Context, bundle: Path | None, checkpoint: Path | None, output: Path, force: bool) -> None:
    """See _HELP."""
    from daenr_common.files import check_output_file

    if checkpoint is not None and bundle is None:
        raise click.UsageError("--checkpoint belongs to BUNDLE, and none is given")
    if bundle is not None:
        from daenr_export.bundle import Bundle

        Bundle.open(bundle)
    check_output_file(output, force=force)
    if reason := why_no_gpu():
        click.echo(f"cannot tell: {reason}; run this on a machine with an NVIDIA GPU")
        context.exit(Verdict.CANNOT_TELL.exit_code)

    from daenr_bench.gpu_check.check import gpu_check as check
    from daenr_bench.gpu_check.suite import tests_of_checkout

    found = check(output, bundle, checkpoint=checkpoint, tests=tests_of_checkout(), tell=click.echo)
    click.echo(f"\n{found.verdict.value}; wrote {output}: send it back")
    context.exit(found.verdict.exit_code if found.complete or found.verdict is Verdict.FAIL else INTERRUPTED)
