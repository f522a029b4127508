"""The doctor: what can run on this machine, what to install for the rest, and what would spoil a measurement."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

from daenr_bench.machine import Machine, this_machine
from daenr_bench.packages import conflicts, installed
from daenr_common.cli import print_table
from daenr_common.strict_json import encode
from daenr_common.verdict import Verdict
from daenr_export.runtime.registry import BackendStatus, backends
from daenr_export.tensorrt import FLAVOURS, why_no_gpu

SCHEMA_VERSION = 1


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
    """What the doctor found."""

    backends: tuple[BackendStatus, ...]
    tensorrt: tuple[FlavourStatus, ...]
    packages: dict[str, str]
    machine: Machine
    warnings: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """PASS if at least one backend can run, else CANNOT_TELL."""
        return Verdict.PASS if any(status.available for status in self.backends) else Verdict.CANNOT_TELL

    def json_text(self) -> str:
        """The diagnosis as a JSON document."""
        document: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "verdict": self.verdict.value, **encode(self)}
        return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def diagnose() -> Diagnosis:
    """Look at this machine and this installation. Changes nothing."""
    machine, packages, no_gpu = this_machine(), installed(), why_no_gpu()
    return Diagnosis(
        backends=backends(),
        tensorrt=tuple(_flavours(no_gpu)),
        packages=packages,
        machine=machine,
        warnings=(*conflicts(packages, no_gpu), *_disturbances(machine)),
    )


def _flavours(no_gpu: str | None) -> Iterator[FlavourStatus]:
    for flavour in FLAVOURS.values():
        if not flavour.is_installed():
            missing = f"{flavour.module} is not installed; pip install 'daenr[{{extra}}]'"
            to_build, to_run = missing.format(extra=flavour.extra), missing.format(extra=flavour.run_extra)
            yield FlavourStatus(flavour.name, False, to_build, to_run)
        else:
            yield FlavourStatus(flavour.name, True, None if flavour.builds_without_gpu else no_gpu, no_gpu)


def _disturbances(machine: Machine) -> Iterator[str]:
    """What makes latencies larger or less steady than the machine could have them."""
    if machine.governor not in (None, "performance"):
        yield f"the CPU's governor is {machine.governor}; latencies are steadier with performance"
    if machine.load_average is not None and machine.load_average > machine.cores / 2:
        problem = f"the load average is {machine.load_average} on {machine.cores} cores"
        yield f"{problem}; stop other programs before measuring"
    if machine.usable_cores < machine.cores:
        yield f"this process may use {machine.usable_cores} of {machine.cores} cores; all figures are for these"
    if machine.is_virtual:
        yield "this is a virtual machine; other guests can disturb it without being seen"


def _row(status: BackendStatus) -> tuple[str, str, str]:
    return status.name, "yes" if status.available else "no", status.reason.removeprefix(f"{status.name}: ")


def print_diagnosis(found: Diagnosis) -> None:
    """Print it for people."""
    print_table(["backend", "runs here", "why not"], map(_row, found.backends))
    click.echo()
    flavours = [
        (flavour.name, flavour.builds or "yes", flavour.runs or "yes, with pycuda and an engine for this GPU")
        for flavour in found.tensorrt
    ]
    print_table(["TensorRT flavour", "builds engines here", "runs them here"], flavours)
    click.echo()
    print_table(["package", "version"], found.packages.items())
    click.echo()
    machine = {name.replace("_", " "): value for name, value in encode(found.machine).items()}
    print_table(["machine", ""], [(name, "unknown" if value is None else value) for name, value in machine.items()])
    click.echo()
    for warning in found.warnings:
        click.echo(f"warning: {warning}")
    can_run = found.verdict is Verdict.PASS
    click.echo("at least one backend can run" if can_run else "no backend can run: pip install 'daenr[cpu]'")
