"""Turns a checkpoint into a bundle, and runs bundles.

    import daenr_export
    with daenr_export.load("cae_fr2.daenr") as model:
        responses = model.responses(image)  # (B, 1, 32, 32) float32 in [-1, 1] → (B, M)

Loading and running a bundle needs numpy and a backend; `export` and `verify` bring in what they need when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from daenr_common.errors import (
    BackendUnavailableError,
    BundleError,
    CheckpointError,
    DaenrError,
    ExportError,
    ImageError,
    LogError,
    MissingExtraError,
    OutputExistsError,
    RecordingError,
    SpecError,
)
from daenr_export.bundle import Bundle
from daenr_export.runtime.model import Model, load
from daenr_export.runtime.registry import backends

if TYPE_CHECKING:
    from daenr_export.exporting.export import export
    from daenr_export.verification.verify import verify

__all__ = [
    "BackendUnavailableError",
    "Bundle",
    "BundleError",
    "CheckpointError",
    "DaenrError",
    "ExportError",
    "ImageError",
    "LogError",
    "MissingExtraError",
    "Model",
    "OutputExistsError",
    "RecordingError",
    "SpecError",
    "backends",
    "export",
    "load",
    "verify",
]

_LAZY = {"export": "daenr_export.exporting.export", "verify": "daenr_export.verification.verify"}
"""Functions that need more than numpy, and the modules that they live in."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
