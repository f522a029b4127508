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
from daenr_export.bundle.writer import BundleWriter, write_bundle

__all__ = [
    "ArrayEntry",
    "Bundle",
    "BundleWriter",
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
    "write_bundle",
]
