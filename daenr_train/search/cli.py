"""What `daenr-train search` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from daenr_common.cli import print_table
from daenr_train.fit.command import parse_settings
from daenr_train.search.command import SearchRequest, run_search

SHOWN = 5
"""How many of the best trials are shown."""


def search_from_options(given: dict[str, Any], settings: Sequence[str], options: dict[str, Any]) -> None:
    """Search and say what came of it.

    Args:
        given: fields of TrainingConfig that have an option of their own.
        settings: further ones as `name=value`.
        options: fields of SearchRequest.

    Raises:
        DaenrError: as `run_search`.
        Interrupted: as `run_search`.
    """
    request = SearchRequest(**options)
    result = run_search(request, given | parse_settings(settings))
    finished = [
        (trial.value, trial) for trial in result.trials if trial.outcome == "finished" and trial.value is not None
    ]
    rows = [
        (trial.number, f"{value:.4f}", *(f"{trial.settings[name]:.4g}" for name in result.searched))
        for value, trial in sorted(finished, key=lambda pair: (pair[0], pair[1].number))[:SHOWN]
    ]
    print_table(["trial", f"{result.objective} (validation)", *result.searched], rows)
    counts = Counter(trial.outcome for trial in result.trials)
    told = ", ".join(
        f"{counts[outcome]} {outcome}" for outcome in ("finished", "pruned", "diverged") if counts[outcome]
    )
    click.echo(f"{told}; wrote {request.output / ('best.toml' if finished else 'trials.csv')}")
