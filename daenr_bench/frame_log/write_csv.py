"""A log as CSV, with nothing but the standard library."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from daenr_bench.frame_log.columns import COLUMNS, Column, chunks, names_of
from daenr_common.files import atomic_file
from daenr_export.loop.log import LoggedRun


def write_csv(run: LoggedRun, path: Path) -> None:
    """Write a line for each frame under a line of names; a field is empty where there is no value.

    Raises:
        DaenrError: the file cannot be written.
    """
    names = names_of(run)
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for chunk in chunks(run):
            writer.writerows(zip(*(_fields(column, names.get(name)) for name, column in chunk.items()), strict=True))


def _fields(column: Column, names: tuple[str, ...] | None) -> list[Any]:
    values: list[Any] = (column.values.astype("u1") if column.values.dtype == bool else column.values).tolist()
    if names is not None:
        values = [names[value] for value in values]
    if column.absent is None:
        return values
    return ["" if absent else value for value, absent in zip(values, column.absent.tolist(), strict=True)]
