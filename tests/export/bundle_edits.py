"""Bundles as a careful forger leaves them: any content, every hash right."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from bundle_factory import sealed
from onnx import numpy_helper

from daenr_common.hashing import sha256_of


def edit_manifest(bundle: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    document = json.loads((bundle / "manifest.json").read_text())
    change(document)
    (bundle / "manifest.json").write_bytes(sealed(document))
    return bundle


def replace_file(bundle: Path, file: str, content: bytes) -> Path:
    (bundle / file).write_bytes(content)
    entry = {"sha256": sha256_of(content), "bytes": len(content)}
    return edit_manifest(bundle, lambda document: document["files"].update({file: entry}))


def drop_graph(bundle: Path, name: str) -> Path:
    (bundle / f"graphs/{name}.onnx").unlink()

    def change(document: dict[str, Any]) -> None:
        del document["graphs"][name], document["files"][f"graphs/{name}.onnx"]
        gone = [engine for engine in document["engines"] if engine["graph"] == name]
        document["engines"] = [engine for engine in document["engines"] if engine["graph"] != name]
        for engine in gone:
            (bundle / engine["file"]).unlink()
            del document["files"][engine["file"]]

    return edit_manifest(bundle, change)


def change_weight(bundle: Path, graph: str, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    """Change the largest weight tensor of a graph."""
    model = onnx.load(bundle / f"graphs/{graph}.onnx")
    weight = max(model.graph.initializer, key=lambda tensor: np.prod(tensor.dims))
    weight.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(weight)).astype(np.float32), weight.name))
    return replace_file(bundle, f"graphs/{graph}.onnx", model.SerializeToString())


def change_golden(bundle: Path, change: Callable[[dict[str, np.ndarray]], None]) -> Path:
    with np.load(bundle / "golden.npz") as file:
        arrays = dict(file)
    change(arrays)
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    replace_file(bundle, "golden.npz", stream.getvalue())
    entries = {name: {"dtype": str(array.dtype), "shape": list(array.shape)} for name, array in arrays.items()}
    return edit_manifest(bundle, lambda document: document["golden"].update({"arrays": entries}))
