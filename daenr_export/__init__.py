"""Turns a checkpoint into a bundle, and runs bundles.

    import daenr_export
    with daenr_export.load("cae_fr2.daenr") as model:
        responses = model.responses(image)  # (B, 1, 32, 32) float32 in [-1, 1] → (B, M)

Loading and running a bundle needs numpy and a backend; `export` and `verify` bring in what they need when first used.
`ClosedLoop` answers the frames of a source in time (see `daenr_export.loop.closed_loop`).
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
    TransportError,
    UnknownBackendError,
)
from daenr_export.bundle import Bundle
from daenr_export.runtime.model import Model, load
from daenr_export.runtime.registry import backends

if TYPE_CHECKING:
    from daenr_export.exporting.export import export
    from daenr_export.loop.closed_loop import ClosedLoop
    from daenr_export.loop.frames import Answer, Frame, Status
    from daenr_export.verification.verify import verify

__all__ = [
    "Answer",
    "BackendUnavailableError",
    "Bundle",
    "BundleError",
    "CheckpointError",
    "ClosedLoop",
    "DaenrError",
    "ExportError",
    "Frame",
    "ImageError",
    "LogError",
    "MissingExtraError",
    "Model",
    "OutputExistsError",
    "RecordingError",
    "SpecError",
    "Status",
    "TransportError",
    "UnknownBackendError",
    "backends",
    "export",
    "load",
    "verify",
]

_LAZY = {
    "Answer": "daenr_export.loop.frames",
    "ClosedLoop": "daenr_export.loop.closed_loop",
    "Frame": "daenr_export.loop.frames",
    "Status": "daenr_export.loop.frames",
    "export": "daenr_export.exporting.export",
    "verify": "daenr_export.verification.verify",
}
"""What need not be imported to run a bundle, and the modules that it lives in."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
