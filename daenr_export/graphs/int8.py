"""A float32 graph with int8 products: the explicit Q/DQ graph that strongly typed TensorRT builds int8 engines from.

Weights are scaled by their largest value for each output channel, activations by the largest that calibration images
gave; both symmetrically, biases stay float32. onnxruntime's quantiser does it, with the settings that its
documentation gives for TensorRT (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx

from daenr_common.extras import require
from daenr_export.specs import Array

PRODUCTS = ("Conv", "ConvTranspose", "Gemm")
"""Operators that can multiply int8."""

_BATCH = 16
_FOR_TENSORRT = {
    "ActivationSymmetric": True,
    "WeightSymmetric": True,
    "AddQDQPairToWeight": True,
    "QuantizeBias": False,
    "DedicatedQDQPair": True,
}


def int8_layers(content: bytes) -> dict[str, int]:
    """The nodes of a graph that can multiply int8, in order, with how many weights each has."""
    graph = onnx.load_from_string(content).graph
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in graph.initializer}
    return {node.name: sizes[node.input[1]] for node in graph.node if node.op_type in PRODUCTS}


def to_int8(content: bytes, calibration: Array, nodes: Collection[str]) -> bytes:
    """The same function with some products in int8. The same arguments give the same bytes.

    Args:
        content: the serialised float32 graph.
        calibration: inputs of the graph that show how large its values become, `(N, …)`.
        nodes: of `int8_layers`, those that multiply int8.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    require("onnxruntime", extra="cpu", purpose="quantising a graph")
    from onnxruntime import quantization

    model = onnx.load_from_string(content)
    name = model.graph.input[0].name

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]  # it has no types
        def __init__(self) -> None:
            self._batches: Iterator[dict[str, Array]] = (
                {name: calibration[at : at + _BATCH]} for at in range(0, len(calibration), _BATCH)
            )

        def get_next(self) -> dict[str, Array] | None:
            return next(self._batches, None)

    with tempfile.TemporaryDirectory(prefix="daenr-int8-") as folder, _quiet():
        path = Path(folder) / "graph.onnx"
        quantization.quantize_static(
            model,
            path,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=list(PRODUCTS),
            nodes_to_quantize=list(nodes),
            extra_options=_FOR_TENSORRT,
        )
        return _clean(onnx.load(path))


def _clean(model: onnx.ModelProto) -> bytes:
    """Without the notes that the quantiser leaves."""
    for proto in (model, model.graph, *model.graph.node, *model.graph.initializer):
        proto.ClearField("metadata_props")
        proto.ClearField("doc_string")
    standard = [entry for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    del model.opset_import[:]
    model.opset_import.extend(standard)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's advice to itself: it asks for a step that changes names, and every graph here is simple."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)
