"""The bundle: one folder that holds everything a rig needs to run a model, and the hashes that prove it whole."""

from __future__ import annotations

from daenr_export.bundle.manifest import (
    ArrayEntry,
    CheckpointEntry,
    ContractEntry,
    EngineEntry,
    FileEntry,
    GoldenEntry,
    GraphEntry,
    Manifest,
    ModelEntry,
    NativeEntry,
    Parity,
    Preprocessing,
    RecordingEntry,
)
from daenr_export.bundle.reader import Bundle

__all__ = [
    "ArrayEntry",
    "Bundle",
    "CheckpointEntry",
    "ContractEntry",
    "EngineEntry",
    "FileEntry",
    "GoldenEntry",
    "GraphEntry",
    "Manifest",
    "ModelEntry",
    "NativeEntry",
    "Parity",
    "Preprocessing",
    "RecordingEntry",
]
