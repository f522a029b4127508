"""Margins: how much of the science an engine may lose. They are declared in a file, before anything is measured."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from daenr_common.errors import DaenrError
from daenr_common.files import read_text
from daenr_common.strict_json import FieldError, decode, packaged

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Margins:
    """What an engine is held to on held-out images; `margins.schema.json` gives the layout of the file.

    Attributes:
        correlation_with_reference: least correlation over images of each neuron's responses with the reference's.
        recorded_correlation_drop: by how much each neuron's correlation with its recorded responses may be below the
            reference's.
        psnr_drop_db: by how much the PSNR of the reconstructions against the images may be below the reference's, in
            the mean over images.
        ssim_drop: the same of their structural similarity.
        code_agreement: least share of a VQ-VAE's codes that are the reference's.
        schema_version: of the file.

    Raises:
        FieldError: a margin is outside of what it can be.
    """

    correlation_with_reference: float
    recorded_correlation_drop: float
    psnr_drop_db: float
    ssim_drop: float
    code_agreement: float
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                expected = f"{low:g} to {high:g}" if high < float("inf") else f"at least {low:g}"
                raise FieldError(name, f"is {value:g}, expected {expected}")

    def of(self, metric: str) -> float:
        """The margin of a metric."""
        return float(getattr(self, metric))

    def holds(self, metric: str, value: float) -> bool:
        """Whether a figure is within its margin."""
        return value >= self.of(metric) if metric in AT_LEAST else value <= self.of(metric)


METRICS = tuple(field.name for field in fields(Margins) if field.name != "schema_version")
"""Names of all margins, in their order."""

AT_LEAST = frozenset({"correlation_with_reference", "code_agreement"})
"""Margins from below; the others are from above."""

_RANGES = {name: (0.0, float("inf")) for name in METRICS} | {
    "correlation_with_reference": (-1.0, 1.0),
    "code_agreement": (0.0, 1.0),
}


@cache
def own_margins() -> Margins:
    """Daenr's own, from `margins.json` in this package."""
    return decode(Margins, packaged(__package__, "margins.json"))


def read_margins(path: Path) -> Margins:
    """Margins from a file.

    Raises:
        DaenrError: the file is missing or no JSON, a margin is missing, unknown or no number, or outside of its range.
    """
    try:
        document = json.loads(read_text(path, _REMEDY))
        version = document.get("schema_version", SCHEMA_VERSION) if isinstance(document, dict) else SCHEMA_VERSION
        if version != SCHEMA_VERSION:
            raise FieldError("schema_version", f"is {version!r}, this daenr reads {SCHEMA_VERSION}")
        return decode(Margins, document)
    except (FieldError, ValueError) as error:
        raise DaenrError(path, str(error), _REMEDY) from error


def schema() -> dict[str, Any]:
    """The JSON Schema of the file."""
    return packaged(__package__, "margins.schema.json")


_REMEDY = "declare all margins, as docs/benchmarking.md shows them"
