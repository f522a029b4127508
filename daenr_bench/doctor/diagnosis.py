"""What the doctor found, and how it looks."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daenr_bench.doctor.findings import Finding, Tree
from daenr_bench.doctor.kernel import look_at_kernel
from daenr_bench.doctor.limits import look_at_limits
from daenr_bench.doctor.nvidia import look_at_gpus
from daenr_bench.doctor.processor import look_at_processor
from daenr_bench.machine import Machine, this_machine
from daenr_bench.packages import conflicts, installed
from daenr_common.strict_json import encode
from daenr_common.verdict import Verdict
from daenr_export.runtime.registry import BackendStatus, backends
from daenr_export.tensorrt import FLAVOURS, why_no_gpu

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class FlavourStatus:
    """What a flavour of TensorRT can do here.

    Attributes:
        name: e.g. `tensorrt-rtx`.
        installed: whether its module is there.
        builds: None if engines can be built here; otherwise why not.
        runs: None if nothing but a fitting engine is missing to run one here; otherwise why not.
    """

    name: str
    installed: bool
    builds: str | None
    runs: str | None


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor found.

    Attributes:
        backends: of daenr and of other packages.
        tensorrt: the flavours of TensorRT.
        packages: installed versions, by name.
        machine: that this is.
        findings: what makes a loop in real time late, or does not; those of the kernel are known on Linux only.
        warnings: packages that do not go together.
    """

    backends: tuple[BackendStatus, ...]
    tensorrt: tuple[FlavourStatus, ...]
    packages: dict[str, str]
    machine: Machine
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """PASS if at least one backend can run, else CANNOT_TELL."""
        return Verdict.PASS if any(status.available for status in self.backends) else Verdict.CANNOT_TELL

    def json_text(self) -> str:
        """The diagnosis as a JSON document."""
        document: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "verdict": self.verdict.value, **encode(self)}
        return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def diagnose(root: Path = Path("/")) -> Diagnosis:
    """Look at this machine and this installation. Changes nothing.

    Args:
        root: above `proc` and `sys`, in which Linux describes itself.
    """
    machine, packages, no_gpu = this_machine(root), installed(), why_no_gpu()
    return Diagnosis(
        backends=backends(),
        tensorrt=tuple(_flavours(no_gpu)),
        packages=packages,
        machine=machine,
        findings=tuple(_findings(Tree(root), machine, no_gpu)),
        warnings=conflicts(packages, no_gpu),
    )


def _findings(tree: Tree, machine: Machine, no_gpu: str | None) -> Iterator[Finding]:
    yield from look_at_processor(tree, machine)
    if sys.platform == "linux":
        yield from look_at_kernel(tree)
        yield from look_at_limits(tree)
    yield from look_at_gpus(no_gpu)


def _flavours(no_gpu: str | None) -> Iterator[FlavourStatus]:
    for flavour in FLAVOURS.values():
        if not flavour.is_installed():
            missing = f"{flavour.module} is not installed; pip install 'daenr[{{extra}}]'"
            to_build, to_run = missing.format(extra=flavour.extra), missing.format(extra=flavour.run_extra)
            yield FlavourStatus(flavour.name, False, to_build, to_run)
        else:
            yield FlavourStatus(flavour.name, True, None if flavour.builds_without_gpu else no_gpu, no_gpu)
