"""What a search came to: every trial as a row, and the best settings as a grid that can be swept."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from daenr_common.files import atomic_file
from daenr_train.search.study import Trial

COLUMNS = ("trial", "outcome", "value", "steps", "seconds")
"""Of trials.csv, before the settings that were searched."""


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The finished trial with the least value, the first of equals; None if none has finished."""
    finished = [
        (trial.value, trial.number) for trial in trials if trial.outcome == "finished" and trial.value is not None
    ]
    return trials[min(finished)[1]] if finished else None


def write_trials(folder: Path, trials: Sequence[Trial], searched: Sequence[str]) -> None:
    """Write trials.csv."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*COLUMNS, *searched))
    for trial in trials:
        row = (trial.number, trial.outcome, trial.value, trial.steps, trial.seconds)
        writer.writerow((*row, *(trial.settings.get(name) for name in searched)))
    _write(folder / "trials.csv", text.getvalue())


def write_best(folder: Path, model: str, region: str, settings: Mapping[str, Any], note: str) -> None:
    """Write best.toml, a grid with one model whose settings are the best that were found.

    Args:
        folder: where to.
        model: its name.
        region: of the recording.
        settings: fields of TrainingConfig that differ from the defaults, without the seed.
        note: a line that says where they come from.
    """
    lines = [f"# {note}", f'models = ["{model}"]', f"regions = [{_quoted(region)}]", "", "[settings]"]
    lines += [f"{name} = {value!r}" for name, value in sorted(settings.items())]
    _write(folder / "best.toml", "\n".join(lines) + "\n")


def _quoted(text: str) -> str:
    """A TOML string; JSON's escapes are TOML's."""
    return json.dumps(text, ensure_ascii=False)


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
