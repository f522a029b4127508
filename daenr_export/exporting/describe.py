"""The manifest of a bundle, from what the export made and measured."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from daenr_common.errors import CheckpointError
from daenr_export.bundle import (
    CheckpointEntry,
    ContractEntry,
    EngineEntry,
    GoldenEntry,
    GraphEntry,
    Manifest,
    ModelEntry,
    NativeEntry,
    Parity,
    Preprocessing,
    RecordingEntry,
)
from daenr_export.exporting.options import Options
from daenr_export.graphs.make import Graph
from daenr_export.graphs.pixels import Pixels
from daenr_export.native.targets import find_target
from daenr_export.specs import BatchRange
from daenr_export.verification.parity import to_manifest
from daenr_train.checkpoint import VERSION, Checkpoint

_PACKAGES = ("daenr", "numpy", "torch", "onnx", "onnxscript", "onnxruntime", "tensorrt-rtx-cu12", "tensorrt")


def describe(
    checkpoint: Checkpoint,
    checkpoint_path: Path,
    options: Options,
    *,
    graphs: Mapping[str, Graph],
    parity: Mapping[str, tuple[Parity, ...]],
    contracts: Mapping[str, dict[str, ContractEntry]],
    engines: Sequence[EngineEntry],
    natives: Sequence[NativeEntry],
    golden: GoldenEntry,
) -> Manifest:
    """The manifest of a bundle, complete but for the digests of its files."""
    spec = checkpoint.spec
    manifest = Manifest(
        model=ModelEntry(spec.name, spec.to_json()),
        checkpoint=_checkpoint(checkpoint, checkpoint_path),
        neuron_ids=checkpoint.neuron_ids if spec.readout else (),
        preprocessing=_preprocessing(options.input, pixels_of(checkpoint)),
        precision_requested=options.precision,
        graphs={
            name: _graph(graph, options.batch, parity[name], contracts.get(name, {})) for name, graph in graphs.items()
        },
        engines=tuple(engines),
        natives=tuple(natives),
        golden=golden,
        tolerances={},
        tools=tools(),
        files={},
    )
    return manifest._replace(tolerances=to_manifest(manifest.precisions))


def pixels_of(checkpoint: Checkpoint) -> Pixels:
    """How pixels become the images that the model was trained on.

    Raises:
        CheckpointError: the checkpoint does not say.
    """
    try:
        return Pixels(float(checkpoint.preprocessing["scale"]), float(checkpoint.preprocessing["offset"]))
    except (KeyError, TypeError, ValueError) as error:
        problem = f"is {checkpoint.preprocessing!r}, expected numbers for scale and offset"
        raise CheckpointError("preprocessing of the checkpoint", problem, "fit the model again") from error


def tools() -> dict[str, str]:
    """Versions of what makes a bundle, by package."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def graph_file(name: str, precision: str = "fp32") -> str:
    """Where a graph is in a bundle."""
    return f"graphs/{name}.onnx" if precision == "fp32" else f"graphs/{name}.{precision}.onnx"


def engine_file(flavour: str, name: str, precision: str) -> str:
    """Where an engine is in a bundle."""
    return f"engines/{flavour}/{name}.{precision}.engine"


def native_file(target: str, name: str, precision: str) -> str:
    """Where a library of compiled C is in a bundle."""
    return f"native/{target}/{name}.{precision}{find_target(target).suffix}"


def _graph(
    graph: Graph, batch: BatchRange, parity: tuple[Parity, ...], contracts: dict[str, ContractEntry]
) -> GraphEntry:
    return GraphEntry(
        file=graph_file(graph.name),
        input=graph.input,
        outputs=graph.outputs,
        batch=batch,
        opset=graph.opset,
        variants={precision: graph_file(graph.name, precision) for precision in graph.variants},
        parity=parity,
        contracts=contracts,
    )


def _checkpoint(checkpoint: Checkpoint, path: Path) -> CheckpointEntry:
    return CheckpointEntry(
        file=path.name,
        sha256=checkpoint.sha256,
        format_version=VERSION,
        seed=checkpoint.seed,
        recording=recording_entry(checkpoint),
        metrics=_defined(checkpoint.metrics),
        training=_defined(checkpoint.training),
    )


def recording_entry(checkpoint: Checkpoint) -> RecordingEntry:
    """The recording that a checkpoint was fitted to."""
    recording = checkpoint.recording
    return RecordingEntry(recording.fingerprint, recording.region, recording.source, recording.split_fingerprint)


def _defined(values: Any) -> Any:
    """The same values with None for NaN and infinity, which JSON has not: a score that is not defined."""
    if isinstance(values, Mapping):
        return {name: _defined(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [_defined(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values


def _preprocessing(input_dtype: str, pixels: Pixels) -> Preprocessing:
    formula = f"image = pixel * {pixels.scale!r} + {pixels.offset!r}"
    who = {
        "uint8": "graphs take pixels of 0…255 as uint8 and scale them",
        "float32": "scale pixels of 0…255 to [-1, 1] before the graph",
    }
    return Preprocessing(f"{who[input_dtype]}: {formula}", input_dtype, pixels.scale, pixels.offset)
