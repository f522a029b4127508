"""From a checkpoint to a bundle: the steps of an export, and what is checked before the first of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from daenr_common.errors import CheckpointError, ExportError
from daenr_common.extras import require
from daenr_common.files import check_writable
from daenr_export.bundle import Manifest
from daenr_export.bundle.writer import refuse_output
from daenr_export.exporting.options import DEFAULT_BATCH, ELSEWHERE, SHORTER, UNDER_CONTRACT, Options, targets_of
from daenr_export.native.targets import find_target, native_target
from daenr_export.specs import BatchRange
from daenr_export.tensorrt import choose_flavour
from daenr_export.tensorrt.flavour import Choice
from daenr_export.verification.verify import VerifyReport, verify

SUFFIX = ".daenr"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ExportReport:
    """What an export made.

    Attributes:
        bundle: the folder.
        manifest: what is in it.
        verification: what was found out about the finished bundle.
        seconds: how long each step took, by name.
    """

    bundle: Path
    manifest: Manifest
    verification: VerifyReport
    seconds: dict[str, float]


def export(
    checkpoint_path: Path | str,
    output: Path | str | None = None,
    *,
    trt: bool = False,
    precision: str = "fp32",
    batch: BatchRange = DEFAULT_BATCH,
    input: str = "float32",
    trt_flavour: str = "auto",
    native: bool = False,
    targets: Sequence[str] = (),
    data: Path | str | None = None,
    region: str | None = None,
    force: bool = False,
    progress: Progress = lambda _: None,
) -> ExportReport:
    """Export a checkpoint as a bundle, and verify what was written.

    Args:
        checkpoint_path: what `daenr-train fit` wrote, e.g. `cae_fr2.pt`.
        output: folder of the bundle; None for `cae_fr2.daenr` beside the checkpoint.
        trt: see `Options`, as for the next four.
        precision: `fp32`; `tf32` of engines; `fp16` or `int8` of graphs and engines; `bf16`, `int8` or `auto` of
            compiled C.
        batch: smallest, tuned and largest batch size.
        input: `float32` or `uint8`.
        trt_flavour: `auto`, `rtx` or `enterprise`.
        native: compile each graph, as C.
        targets: kinds of machines to compile for, e.g. `x86_64-windows`; none for this one.
        data: the recording that the checkpoint was fitted to: shorter numbers may then not cost any neuron its
            correlation with its recorded responses, either, and int8 graphs are calibrated on its images.
        region: of the recording; None for the one that the model was fitted to.
        force: replace a bundle that is at `output` already.
        progress: is told each step as it begins.

    Raises:
        CheckpointError: the checkpoint is missing, damaged, of another version, or holds pickled code.
        OutputExistsError: there is something at `output`, and `force` is false.
        ExportError: an option makes no sense, a graph or an engine could not be made, differs from the PyTorch model
            by more than is tolerated, or computes in another precision than was asked for. Nothing is written.
        RecordingError: `data` cannot be read, or is not of these neurons and images.
        BackendUnavailableError: a package or a TensorRT flavour that this export needs is not there.
        DaenrError: the disk is full, or `output` cannot be written.
    """
    options = Options(trt, precision, batch, input, trt_flavour, targets_of(native, targets))
    if options.is_quantised and data is None:
        problem = "scales activations by what they are on images that the model was fitted to, and none were given"
        raise ExportError("--precision int8", problem, "add --data")
    if options.targets and precision in SHORTER and not find_target(native_target()).multiplying(precision):
        problem = f"is accepted only after it was tried, and {native_target()} does not multiply such numbers"
        raise ExportError(f"--precision {precision}", problem, ELSEWHERE)
    if data is not None and precision not in UNDER_CONTRACT:
        problem = "is what shorter numbers than float32 are held against, and there are none"
        raise ExportError("--data", problem, f"add --precision with one of {', '.join(UNDER_CONTRACT)}")
    if region is not None and data is None:
        raise ExportError(f"--region {region}", "is given without a recording", "add --data")
    checkpoint_path = Path(checkpoint_path)
    _check_checkpoint(checkpoint_path)
    output = checkpoint_path.with_suffix(SUFFIX) if output is None else Path(output)
    refuse_output(output, force=force)
    check_writable(output)
    clock = _Clock(progress)
    flavour = choose_flavour(cast("Choice", options.trt_flavour)) if options.trt else None
    with clock.step("starting PyTorch and its ONNX exporter"):
        _check_packages(precision in UNDER_CONTRACT)
        from daenr_export.exporting.make_bundle import make_bundle
    data = None if data is None else Path(data)
    manifest = make_bundle(checkpoint_path, output, options, flavour, clock.step, data=data, region=region, force=force)
    with clock.step("verifying the bundle"):
        verification = verify(output, progress=progress)
    return ExportReport(output, manifest, verification, clock.seconds)


def _check_checkpoint(path: Path) -> None:
    # load_checkpoint says the same, but only after the seconds that importing torch takes.
    if not path.is_file():
        problem, remedy = "does not exist or is not a file", "give the path that daenr-train fit wrote"
        raise CheckpointError(path, problem, remedy)


def _check_packages(is_under_contract: bool) -> None:
    for package in ("torch", "onnx", "onnxscript"):
        require(package, extra="export", purpose="exporting a checkpoint")
    if is_under_contract:
        require("onnxruntime", extra="cpu", purpose="finding out what shorter numbers cost")


@dataclass
class _Clock:
    """Tells the steps of an export as they begin, and keeps how long each took."""

    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self.progress(name)
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
