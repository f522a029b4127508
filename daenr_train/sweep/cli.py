"""What `daenr-train sweep` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from daenr_common.cli import print_table
from daenr_train.fit.command import parse_settings
from daenr_train.sweep.command import SweepRequest, run_sweep
from daenr_train.sweep.cost import HEADS, cost_rows, memory, paper_cost
from daenr_train.sweep.driver import Options
from daenr_train.sweep.table import Table


def sweep_from_options(given: dict[str, Any], settings: Sequence[str], options: dict[str, Any]) -> int:
    """Sweep and say what came of it; returns the exit code.

    Args:
        given: fields of TrainingConfig that have an option of their own.
        settings: further ones as `name=value`.
        options: fields of SweepRequest and of Options.

    Raises:
        DaenrError: as `run_sweep`.
        Interrupted: as `run_sweep`.
    """
    driving = Options(options.pop("keep_checkpoints"), options.pop("retry_failed"))
    request = SweepRequest(**options, options=driving)
    table = run_sweep(request, given | parse_settings(settings))
    return _report(request, table)


def _report(request: SweepRequest, table: Table) -> int:
    counts = Counter(table.status(cell) for cell in table.runs)
    if costs := table.costs():
        print_table(HEADS, cost_rows(costs))
        click.echo(paper_cost(costs))
        click.echo(memory(costs))
    for cell in table.runs:
        if table.status(cell) == "failed":
            click.echo(f"failed: {cell}: {table.entries[cell]['error']}", err=True)
    told = ", ".join(f"{counts[status]} {status}" for status in ("finished", "failed", "missing") if counts[status])
    click.echo(f"{told}; wrote {request.output / 'results.csv'}")
    return 1 if counts["failed"] else 0
