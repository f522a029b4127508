"""What an export can be asked for, and which combinations make sense. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daenr_common.errors import ExportError
from daenr_export.native.targets import TARGETS, find_target, native_target
from daenr_export.specs import BatchRange

PRECISIONS = ("fp32", "tf32", "fp16", "bf16", "int8", "auto")
INPUTS = ("float32", "uint8")
SHORTER = ("bf16", "int8", "auto")
"""Accepted layer by layer, as far as the margins of the science allow."""

UNDER_CONTRACT = ("fp16", *SHORTER)

ELSEWHERE = "export on a processor with Intel AMX (int8: or AVX-512 VNNI), or leave --precision out"
"""What to do where shorter numbers of compiled C cannot be tried."""

NATIVE_PRECISIONS = ("fp32", *SHORTER)
ONLY_NATIVE = ("bf16", "auto")
FLAVOURS = ("auto", "rtx", "enterprise")

DEFAULT_BATCH = BatchRange(1, 1, 64)

MAX_BATCH = 4096
"""An engine holds buffers for its largest batch; beyond this they are larger than a rig's GPU has to spare."""


@dataclass(frozen=True)
class Options:
    """The options of an export.

    Attributes:
        trt: build a TensorRT engine for each graph.
        precision: `fp32`; `tf32` (engines only); `fp16`, for which each graph also gets a typed float16 variant;
            `int8`, for which they get one with explicit Q/DQ, unless only C is compiled; `bf16` or `auto` (compiled C
            only).
        batch: the batch sizes that the graphs are verified and the engines built for.
        input: what graphs of an image take: `float32` in [-1, 1], or `uint8` pixels that they scale themselves.
        trt_flavour: `rtx`, `enterprise`, or `auto` for Enterprise where it is installed and a GPU is there, else RTX.
        targets: machines that each graph is compiled for, as C; of `daenr_export.native.targets.TARGETS`.

    Raises:
        ExportError: an option does not exist, or has no effect beside the others.
    """

    trt: bool = False
    precision: str = "fp32"
    batch: BatchRange = DEFAULT_BATCH
    input: str = "float32"
    trt_flavour: str = "auto"
    targets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for option, value, known in (
            ("--precision", self.precision, PRECISIONS),
            ("--input", self.input, INPUTS),
            ("--trt-flavour", self.trt_flavour, FLAVOURS),
            *(("--target", target, TARGETS) for target in self.targets),
        ):
            if value not in known:
                raise ExportError(f"{option} {value}", "is not known", f"choose one of {', '.join(known)}")
        if not self.trt and self.precision == "tf32":
            raise ExportError("--precision tf32", "is a property of engines, and none are built", "add --trt")
        if not self.trt and self.trt_flavour != "auto":
            raise ExportError(f"--trt-flavour {self.trt_flavour}", "is given, but no engines are built", "add --trt")
        if self.targets and self.precision not in NATIVE_PRECISIONS:
            problem = f"is not what compiled C computes in, which is {' or '.join(NATIVE_PRECISIONS)}"
            raise ExportError(f"--precision {self.precision}", problem, "leave out --native, or export twice")
        if self.precision in ONLY_NATIVE and (self.trt or not self.targets):
            problem = "is what compiled C computes in, and " + ("engines do not" if self.trt else "none is made")
            remedy = "leave out --trt, or export twice" if self.trt else "add --native"
            raise ExportError(f"--precision {self.precision}", problem, remedy)
        for target in self.targets:
            find_target(target).of_precision(self.precision)
        _check_batch(self.batch)

    @property
    def is_half(self) -> bool:
        """Whether float16 variants are wanted."""
        return self.precision == "fp16"

    @property
    def is_quantised(self) -> bool:
        """Whether int8 variants are wanted: for engines, or where nothing is compiled."""
        return self.precision == "int8" and (self.trt or not self.targets)


def targets_of(native: bool, targets: Sequence[str]) -> tuple[str, ...]:
    """What graphs are compiled for: the targets that were named, or this machine; nothing without `native`.

    Raises:
        ExportError: a target is named and `native` is false.
    """
    if not native and targets:
        raise ExportError(f"--target {targets[0]}", "is given, but nothing is compiled", "add --native")
    return tuple(dict.fromkeys(targets or (native_target(),))) if native else ()


def parse_batch(text: str) -> BatchRange:
    """The batch range of `MIN:OPT:MAX`.

    Raises:
        ExportError: it is not three whole numbers in order.
    """
    try:
        low, tuned, high = (int(part) for part in text.split(":"))
    except ValueError as error:
        problem = "is not three whole numbers MIN:OPT:MAX"
        raise ExportError(f"--batch {text}", problem, "give for example --batch 1:1:64") from error
    batch = BatchRange(low, tuned, high)
    _check_batch(batch)
    return batch


def _check_batch(batch: BatchRange) -> None:
    if not 1 <= batch.min <= batch.opt <= batch.max <= MAX_BATCH:
        problem = f"is not in order, expected 1 ≤ MIN ≤ OPT ≤ MAX ≤ {MAX_BATCH}"
        raise ExportError(f"--batch {batch.min}:{batch.opt}:{batch.max}", problem, "give for example --batch 1:1:64")
