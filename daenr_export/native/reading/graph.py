"""An exported ONNX graph as a `Network`: the operations that the graphs of a bundle use, and a clear no to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from daenr_common.errors import ExportError
from daenr_common.extras import require
from daenr_export.native.reading import symbols as s
from daenr_export.native.reading.node import REMEDY, Found, Node
from daenr_export.native.reading.nodes import READERS
from daenr_export.native.reading.operations import Network, Operation
from daenr_export.specs import TensorSpec

if TYPE_CHECKING:
    import onnx

OPSETS = range(18, 24)
"""Versions of the standard operators in which the ones read here mean the same."""

DTYPES = ("float32", "uint8", "int64")


def read_network(content: bytes) -> Network:
    """Read a serialised ONNX graph.

    Raises:
        ExportError: it is no ONNX, or holds an operation, attribute, opset or shape that native code does not cover;
            the error names the node.
        MissingExtraError: onnx is not installed.
    """
    onnx = require("onnx", extra="native", purpose="compiling native code")
    try:
        model = onnx.load_from_string(content)
    except Exception as error:  # protobuf's own type, which differs between its implementations
        raise ExportError("ONNX graph", f"cannot be parsed ({error})", REMEDY) from error
    _check_opset(model)
    graph, found = model.graph, Found()
    if len(graph.input) != 1 or not graph.output:
        counts = f"{len(graph.input)} inputs and {len(graph.output)} outputs"
        raise ExportError(f"graph {graph.name}", f"has {counts}, expected 1 and at least 1", REMEDY)
    entry = _tensor(graph.input[0])
    found.value(entry.name, entry.shape, entry.dtype)
    found.symbols |= {tensor.name: s.Constant(_array(tensor)) for tensor in graph.initializer}
    for proto in graph.node:
        node = Node(proto, found)
        if node.kind not in READERS:
            node.refuse("is an operation that native code does not cover")
        found.symbols[node.output] = READERS[node.kind](node)
    outputs = tuple(_output(value, found) for value in graph.output)
    used = _used(found.operations, {spec.name for spec in outputs})
    return Network(graph.name, entry, outputs, found.shapes, used)


def _check_opset(model: onnx.ModelProto) -> None:
    found = {entry.domain: entry.version for entry in model.opset_import}
    if list(found) != [""] or found[""] not in OPSETS or model.functions:
        wanted = f"the standard set, {OPSETS[0]} to {OPSETS[-1]}"
        raise ExportError(f"graph {model.graph.name}", f"uses the operators {found}, expected {wanted}", REMEDY)


def _output(value: onnx.ValueInfoProto, found: Found) -> TensorSpec:
    spec, symbol = _tensor(value), found.symbols.get(value.name)
    name = symbol.name if isinstance(symbol, s.Value) else symbol.vector if isinstance(symbol, s.Flattened) else None
    if name != spec.name or found.shapes[spec.name] != spec.shape or found.dtypes[spec.name] != spec.dtype:
        raise ExportError(f"output {spec.name}", f"is not computed as {spec.dtype} {spec.shape}", REMEDY)
    return spec


def _tensor(value: onnx.ValueInfoProto) -> TensorSpec:
    import onnx

    kind = value.type.tensor_type
    _, *rest = kind.shape.dim or [None]
    shape = tuple(axis.dim_value if axis.HasField("dim_value") else 0 for axis in rest)
    if not shape or min(shape) < 1 or len(shape) > 4:
        raise ExportError(f"tensor {value.name}", "has not the shape (batch, fixed sizes)", REMEDY)
    dtype = str(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    if dtype not in DTYPES:
        raise ExportError(f"tensor {value.name}", f"is {dtype}, expected one of {', '.join(DTYPES)}", REMEDY)
    return TensorSpec(value.name, dtype, shape)


def _array(tensor: onnx.TensorProto) -> Any:
    from onnx import numpy_helper

    return np.ascontiguousarray(numpy_helper.to_array(tensor)).reshape(tuple(tensor.dims))


def _used(operations: list[Operation], wanted: set[str]) -> tuple[Operation, ...]:
    """The operations that the wanted values need, in order."""
    kept: list[Operation] = []
    for operation in reversed(operations):
        if operation.output in wanted:
            kept.append(operation)
            wanted.add(operation.input)
    return tuple(reversed(kept))
