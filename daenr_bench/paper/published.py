"""The figures that the paper printed, as `published.json` transcribes them by table, row and column."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from daenr_common.strict_json import decode

DECIMALS = 3
"""All of them have three."""


@cache
def published_figures() -> dict[tuple[str, str, str], float]:
    """By table, row and column, e.g. `("table2", "CAE-FR1", "Region 3 MSE")`; the figures have none in print."""
    tables = json.loads((files(__package__) / "published.json").read_text("utf-8"))["tables"]
    return {
        (table, row, column): value
        for table, content in tables.items()
        for row, values in decode(dict[str, tuple[float, ...]], content["rows"], table).items()
        for column, value in zip(content["columns"], values, strict=True)
    }
