"""An exported ONNX graph as a `Network`: exactly the operations that the graphs of a bundle use, and a clear no to others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from daenr_common.errors import ExportError
from daenr_common.extras import require
from daenr_export.native import symbols as s
from daenr_export.native.operations import Network, Operation
from daenr_export.specs import TensorSpec

if TYPE_CHECKING:
    import onnx

OPSETS = range(18, 24)
"""Versions of the standard operators in which the ones read here mean the same."""

DTYPES = ("float32", "uint8", "int64")

REMEDY = "make the native library from a graph that daenr-export wrote"


def read_network(content: bytes) -> Network:
    """Read a serialised ONNX graph.

    Raises:
        ExportError: it is no ONNX, or holds an operation, attribute, opset or shape that native code does not cover; the
            error names the node.
        MissingExtraError: onnx is not installed.
    """
    onnx = require("onnx", extra="native", purpose="compiling native code")
    try:
        model: onnx.ModelProto = onnx.load_from_string(content)
    except Exception as error:  # protobuf's own type, which differs between its implementations
        raise ExportError("ONNX graph", f"cannot be parsed ({error})", REMEDY) from error
    return Reader(model).read()


class Reader:
    """One pass over the nodes of a graph. What each kind of node means is in `nodes`.

    Attributes:
        symbols: what each name stands for so far.
        shapes: of each value, without the batch axis.
        operations: so far.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.symbols: dict[str, s.Symbol] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.dtypes: dict[str, str] = {}
        self.operations: list[Operation] = []

    def read(self) -> Network:
        """The whole graph."""
        from daenr_export.native.nodes import READERS

        graph = self.model.graph
        self._check_opset()
        if len(graph.input) != 1:
            raise ExportError(f"graph {graph.name}", f"has {len(graph.input)} inputs, expected 1", REMEDY)
        entry = _tensor(graph.input[0])
        self.value(entry.name, entry.shape, entry.dtype)
        for tensor in graph.initializer:
            self.symbols[tensor.name] = s.Constant(_array(tensor))
        for proto in graph.node:
            node = Node(proto, self)
            if node.kind not in READERS:
                node.refuse("is an operation that native code does not cover")
            self.symbols[proto.output[0]] = READERS[node.kind](node)
        outputs = tuple(self._output(value) for value in graph.output)
        used = _used(self.operations, {spec.name for spec in outputs})
        return Network(graph.name, entry, outputs, self.shapes, used)

    def value(self, name: str, shape: tuple[int, ...], dtype: str = "float32") -> s.Value:
        """Note a value that the network has."""
        self.symbols[name] = s.Value(name)
        self.shapes[name], self.dtypes[name] = shape, dtype
        return s.Value(name)

    def _check_opset(self) -> None:
        found = {entry.domain: entry.version for entry in self.model.opset_import}
        if list(found) != [""] or found[""] not in OPSETS or self.model.functions:
            wanted = f"the standard set, {OPSETS[0]} to {OPSETS[-1]}"
            raise ExportError(f"graph {self.model.graph.name}", f"uses the operators {found}, expected {wanted}", REMEDY)

    def _output(self, value: onnx.ValueInfoProto) -> TensorSpec:
        spec, symbol = _tensor(value), self.symbols.get(value.name)
        name = {s.Value: "name", s.Flattened: "vector"}.get(type(symbol), "")
        if getattr(symbol, name, None) != spec.name or self.shapes[spec.name] != spec.shape:
            raise ExportError(f"output {spec.name}", f"is not computed by the graph with the shape {spec.shape}", REMEDY)
        if self.dtypes[spec.name] != spec.dtype:
            raise ExportError(f"output {spec.name}", f"is {spec.dtype}, but {self.dtypes[spec.name]} is computed", REMEDY)
        return spec


class Node:
    """A node of the graph, with its inputs looked up and its attributes checked."""

    def __init__(self, proto: onnx.NodeProto, reader: Reader) -> None:
        self.proto, self.reader = proto, reader
        self.kind: str = proto.op_type
        self.output: str = proto.output[0]
        if unknown := [name for name in proto.input if name and name not in reader.symbols]:
            self.refuse(f"uses {', '.join(unknown)}, which nothing before it makes")
        if len(proto.output) != 1:
            self.refuse(f"has {len(proto.output)} outputs, expected 1")

    def refuse(self, problem: str) -> None:
        """Raise the error that names this node.

        Raises:
            ExportError: always.
        """
        raise ExportError(f"node {self.proto.name or self.output} ({self.kind})", problem, REMEDY)

    def inputs(self, *kinds: type[s.Symbol]) -> tuple[Any, ...]:
        """The inputs, which must be as many and of these kinds."""
        found = tuple(self.reader.symbols[name] for name in self.proto.input)
        if len(found) != len(kinds) or not all(isinstance(a, b) for a, b in zip(found, kinds, strict=True)):
            names = ", ".join(type(symbol).__name__.lower() for symbol in found)
            self.refuse(f"is applied to ({names}), a use that native code does not cover")
        return found

    def dispatch(self, *cases: tuple[Callable[..., s.Symbol], *tuple[type[s.Symbol], ...]]) -> s.Symbol:
        """What the first case gives whose kinds are those of the inputs."""
        found = tuple(self.reader.symbols[name] for name in self.proto.input)
        for function, *kinds in cases:
            if len(found) == len(kinds) and all(isinstance(a, b) for a, b in zip(found, kinds, strict=True)):
                return function(self, *found)
        self.inputs(*([s.Constant] * (len(found) + 1)))
        raise AssertionError

    def attributes(self, **expected: Any) -> dict[str, Any]:
        """The attributes, with what is absent filled in; each must be as expected, where that is not None.

        An attribute that is not named here is refused.
        """
        import onnx

        found = {item.name: onnx.helper.get_attribute_value(item) for item in self.proto.attribute}
        for name, value in found.items():
            value = value.decode() if isinstance(value, bytes) else value
            if name not in expected or (expected[name] is not None and value != expected[name]):
                self.refuse(f"has the attribute {name} = {value}, which native code does not cover")
        return expected | found

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a value."""
        return self.reader.shapes[name]

    def map_shape(self, name: str) -> tuple[int, int, int]:
        """The shape of a value that must be a float32 map."""
        shape = self.reader.shapes[name]
        if len(shape) != 3 or self.reader.dtypes[name] != "float32":
            self.refuse(f"needs a float32 map (channels, rows, columns), got {self.reader.dtypes[name]} {shape}")
        channels, height, width = shape
        return channels, height, width

    def weight(self, constant: s.Constant, *shape: int | None) -> Any:
        """A float32 weight of this shape; None stands for any size."""
        array = constant.array
        if array.dtype != np.float32:
            self.refuse(f"has a weight of {array.dtype}, expected float32")
        fits = array.ndim == len(shape) and all(b in (None, a) for a, b in zip(array.shape, shape, strict=False))
        if not fits or 0 in array.shape:
            self.refuse(f"has a weight of the shape {array.shape}, expected {shape}")
        return array

    def scalar(self, constant: s.Constant) -> float:
        """A weight that is one float32."""
        return float(self.weight(constant, *([1] * constant.array.ndim)).reshape(()))

    def add(self, operation: Operation, shape: tuple[int, ...], dtype: str = "float32") -> s.Value:
        """Note an operation that computes a value."""
        if min(shape, default=1) < 1:
            self.refuse(f"computes {operation.output} with the empty shape {shape}")
        self.reader.operations.append(operation)
        return self.reader.value(operation.output, shape, dtype)


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
