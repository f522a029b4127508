"""A diagnosis for people."""

from __future__ import annotations

import click

from daenr_bench.doctor.diagnosis import Diagnosis
from daenr_bench.doctor.findings import Finding
from daenr_common.cli import print_table
from daenr_common.strict_json import encode
from daenr_common.verdict import Verdict
from daenr_export.runtime.registry import BackendStatus


def print_diagnosis(found: Diagnosis) -> None:
    """Print it."""
    print_table(["backend", "runs here", "why not"], map(_backend, found.backends))
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
    print_table(["for a loop in real time", "", "verdict", "what to do"], map(_finding, found.findings))
    click.echo()
    for warning in found.warnings:
        click.echo(f"warning: {warning}")
    can_run = found.verdict is Verdict.PASS
    click.echo("at least one backend can run" if can_run else "no backend can run: pip install 'daenr[cpu]'")


def _backend(status: BackendStatus) -> tuple[str, str, str]:
    return status.name, "yes" if status.available else "no", status.reason


def _finding(finding: Finding) -> tuple[str, str, str, str]:
    return finding.name, finding.value, finding.verdict.value, finding.advice
