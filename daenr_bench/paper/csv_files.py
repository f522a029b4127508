"""The report's figures as CSV, a row for each cell or comparison; the same results give the same bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from daenr_bench.paper.analysis import Analysis, Part
from daenr_bench.paper.comparisons import Finding
from daenr_bench.paper.filling import Entry, Filled

CELLS = (
    "row", "column", "region", "model", "neurons", "metric", "seeds", "seeds_planned", "mean", "half_width_95", "best",
    "lacks", "paper",
)  # fmt: skip
CLAIMS = (
    "table", "scope", "comparison", "metric", "cells", "seeds", "first", "second", "difference", "half_width_95", "p",
    "p_holm", "outcome", "reason",
)  # fmt: skip


def csv_files(analysis: Analysis) -> dict[str, str]:
    """The contents of the files by name: one for each table and drawing, and `claims.csv`."""
    files = {f"{ident}.csv": _text(CELLS, _cells(part.filled)) for ident, part in analysis.parts.items()}
    return files | {"claims.csv": _text(CLAIMS, _claims(analysis.parts.values()))}


def _cells(filled: Filled) -> Iterator[dict[str, Any]]:
    for entry in filled.entries:
        spot, found = entry.spot, entry.estimate
        yield {
            "row": entry.row,
            "column": spot.column,
            "region": spot.place.region,
            "model": spot.place.model,
            "neurons": spot.place.neurons,
            "metric": spot.metric.key,
            "seeds": found.n if found else 0,
            "seeds_planned": entry.coverage.planned,
            "mean": found.mean if found else None,
            "half_width_95": found.half_width if found else None,
            "best": int(entry.is_best),
            "lacks": _lacks(entry),
            "paper": entry.published,
        }


def _lacks(entry: Entry) -> str:
    """Why a cell has no figure, or not those of all seeds."""
    failed, to_come = len(entry.coverage.failed), len(entry.coverage.unfinished)
    parts = (f"{failed} failed" if failed else "", f"{to_come} to come" if to_come else "")
    return ", ".join(filter(None, parts)) or entry.lack


def _claims(parts: Iterable[Part]) -> Iterator[dict[str, Any]]:
    for part in parts:
        yield from map(_claim, (*part.claims, *part.cells))


def _claim(finding: Finding) -> dict[str, Any]:
    asked, found = finding.comparison, finding.difference
    return {
        "table": asked.table,
        "scope": asked.scope,
        "comparison": asked.says,
        "metric": asked.metric.key,
        "cells": finding.compared,
        "seeds": len(finding.seeds),
        "first": finding.first,
        "second": finding.second,
        "difference": found.mean if found else None,
        "half_width_95": found.half_width if found else None,
        "p": finding.p,
        "p_holm": finding.p_holm,
        "outcome": finding.outcome.value,
        "reason": finding.reason,
    }


def _text(columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
