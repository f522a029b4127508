"""Small real bundles: a model of two stages with random weights, as ONNX graphs, written by the package's writer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from daenr_export.bundle import (
    CheckpointEntry,
    GoldenEntry,
    GraphEntry,
    Manifest,
    ModelEntry,
    Parity,
    Preprocessing,
    RecordingEntry,
)
from daenr_export.bundle.writer import write_bundle
from daenr_export.specs import BatchRange, TensorSpec

NEURONS = 5
OPSET = 20
BATCH = BatchRange(1, 1, 8)
TENSORS = {
    "image": TensorSpec("image", "float32", (1, 32, 32)),
    "features": TensorSpec("features", "float32", (4, 8, 8)),
    "responses": TensorSpec("responses", "float32", (NEURONS,)),
    "reconstruction": TensorSpec("reconstruction", "float32", (1, 32, 32)),
    "codes": TensorSpec("codes", "int64", (4,)),
}
GRAPHS = {
    "encoder": ("image", ("features",)),
    "decoder": ("features", ("reconstruction", "codes")),
    "readout": ("features", ("responses",)),
    "responses": ("image", ("responses",)),
    "reconstruction": ("image", ("reconstruction", "codes")),
    "joint": ("image", ("responses", "reconstruction", "codes")),
}
ELEMENTS = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "int64": TensorProto.INT64}


def tensor(name: str, dtype: str | None = None) -> TensorSpec:
    spec = TENSORS[name]
    return TensorSpec(spec.name, dtype or spec.dtype, spec.shape)


def image_input(name: str, pixels: str) -> TensorSpec:
    return tensor(name, pixels if name == "image" else None)


def nodes_of(name: str, pixels: str) -> list[onnx.NodeProto]:
    """The operators of a graph; features are `encoder(image)`, everything else follows from the features."""
    source, outputs = GRAPHS[name]
    nodes = []
    if source == "image":
        x = "image"
        if pixels == "uint8":
            x = "scaled"
            nodes += [
                helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
                helper.make_node("Mul", ["pixels", "scale"], ["from_zero"]),
                helper.make_node("Add", ["from_zero", "offset"], ["scaled"]),
            ]
        nodes += [
            helper.make_node("Conv", [x, "conv"], ["stage"], strides=[4, 4], pads=[0] * 4),
            helper.make_node("Elu", ["stage"], ["features"]),
        ]
    if "responses" in outputs:
        nodes += [
            helper.make_node("Flatten", ["features"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["drive"]),
            helper.make_node("Softplus", ["drive"], ["responses"]),
        ]
    if "reconstruction" in outputs:
        nodes += [
            helper.make_node("ConvTranspose", ["features", "deconv"], ["upsampled"], strides=[4, 4]),
            helper.make_node("Tanh", ["upsampled"], ["reconstruction"]),
            helper.make_node("ReduceMax", ["features", "plane"], ["peak"], keepdims=0),
            helper.make_node("Cast", ["peak"], ["codes"], to=TensorProto.INT64),
        ]
    return nodes


def weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "conv": rng.normal(size=(4, 1, 4, 4)).astype(np.float32),
        "weights": rng.normal(0, 0.1, (256, NEURONS)).astype(np.float32),
        "deconv": rng.normal(0, 0.2, (4, 1, 4, 4)).astype(np.float32),
        "plane": np.array([2, 3], np.int64),
        "scale": np.array(1 / 127.5, np.float32),
        "offset": np.array(-1, np.float32),
    }


def value_info(spec: TensorSpec) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(spec.name, ELEMENTS[spec.dtype], ["batch", *spec.shape])


def onnx_graph(name: str, pixels: str = "float32") -> bytes:
    """One graph as ONNX, its weights inside."""
    source, outputs = GRAPHS[name]
    nodes = nodes_of(name, pixels)
    used = {part for node in nodes for part in node.input}
    constants = [numpy_helper.from_array(array, key) for key, array in weights().items() if key in used]
    graph = helper.make_graph(
        nodes, name, [value_info(image_input(source, pixels))], [value_info(tensor(o)) for o in outputs], constants
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def reference(name: str, batch: np.ndarray, pixels: str = "float32") -> dict[str, np.ndarray]:
    """What a graph answers, computed by the reference evaluator of onnx."""
    outputs = GRAPHS[name][1]
    answers = ReferenceEvaluator(onnx.load_from_string(onnx_graph(name, pixels))).run(None, {GRAPHS[name][0]: batch})
    return dict(zip(outputs, answers, strict=True))


def some_images(count: int, *, pixels: str = "float32", seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if pixels == "uint8":
        return rng.integers(0, 256, (count, 1, 32, 32), dtype=np.uint8)
    return rng.uniform(-1, 1, (count, 1, 32, 32)).astype(np.float32)


def graph_entry(name: str, pixels: str = "float32") -> GraphEntry:
    source, outputs = GRAPHS[name]
    parity = tuple(Parity(output, 2, 1e-7, 1e-7, 1e-5, "onnx reference") for output in outputs)
    outputs_as_specs = tuple(tensor(output) for output in outputs)
    image = image_input(source, pixels)
    return GraphEntry(f"graphs/{name}.onnx", image, outputs_as_specs, BATCH, OPSET, {}, parity, {})


def manifest_of(graphs: Sequence[str], golden: GoldenEntry, pixels: str = "float32") -> Manifest:
    """A manifest that lacks only its files."""
    return Manifest(
        model=ModelEntry("vqvae-fr1", {"stages": 2, "note": "α → β"}),
        checkpoint=CheckpointEntry(
            "vqvae_fr1.pt", "ab" * 32, 1, 7, RecordingEntry("cd" * 32, "region1", "insilico"), {"correlation": 0.4}, {}
        ),
        neuron_ids=tuple(f"unit-{index}" for index in range(NEURONS)),
        preprocessing=Preprocessing("pixel / 127.5 - 1", pixels),
        precision_requested="fp32",
        graphs={name: graph_entry(name, pixels) for name in graphs},
        engines=(),
        natives=(),
        golden=golden,
        tolerances={"responses": 1e-5},
        tools={"python": "3.11", "onnx": onnx.__version__},
        files={},
    )


def make_bundle(path: Path, *, graphs: Sequence[str] = tuple(GRAPHS), pixels: str = "float32") -> Path:
    """Write a bundle with the given graphs."""
    images = some_images(2, pixels=pixels)
    with write_bundle(path) as writer:
        for name in graphs:
            writer.add(f"graphs/{name}.onnx", onnx_graph(name, pixels))
        golden = {"image": images} | {
            f"{name}.{output}": array
            for name in graphs
            if GRAPHS[name][0] == "image"
            for output, array in reference(name, images, pixels).items()
        }
        writer.finish(manifest_of(graphs, writer.add_golden(golden, images=len(images)), pixels))
    return path


def sealed(document: dict[str, Any], *, escaped: bool = False) -> bytes:
    """A manifest as an attacker or another program would write it: any content, with a digest that is right."""

    def canonical(digest: str) -> bytes:
        text = json.dumps({**document, "sha256": digest}, sort_keys=True, indent=2, ensure_ascii=escaped)
        return f"{text}\n".encode()

    return canonical(hashlib.sha256(canonical("")).hexdigest())
