"""A node of an ONNX graph while it is read, and what has been found before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from daenr_common.errors import ExportError
from daenr_export.native.reading import symbols as s
from daenr_export.native.reading.operations import Operation

if TYPE_CHECKING:
    import onnx

REMEDY = "make the native library from a graph that daenr-export wrote"


@dataclass
class Found:
    """What the nodes so far have given.

    Attributes:
        symbols: what each name stands for.
        shapes: of each value, without the batch axis.
        dtypes: of each value.
        operations: in order.
    """

    symbols: dict[str, s.Symbol] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)

    def value(self, name: str, shape: tuple[int, ...], dtype: str) -> s.Value:
        """Note a value that the network has."""
        self.symbols[name] = s.Value(name)
        self.shapes[name], self.dtypes[name] = shape, dtype
        return s.Value(name)

    def maker(self, name: str) -> Operation | None:
        """The operation that computes a value; None for the input."""
        return next((operation for operation in self.operations if operation.output == name), None)


class Node:
    """A node of the graph, with its inputs looked up and its attributes checked."""

    def __init__(self, proto: onnx.NodeProto, found: Found) -> None:
        self.proto, self.found = proto, found
        self.kind: str = proto.op_type
        self.output: str = proto.output[0]
        if unknown := [name for name in proto.input if name and name not in found.symbols]:
            self.refuse(f"uses {', '.join(unknown)}, which nothing before it makes")
        if len(proto.output) != 1:
            self.refuse(f"has {len(proto.output)} outputs, expected 1")

    def refuse(self, problem: str) -> NoReturn:
        """Raise the error that names this node.

        Raises:
            ExportError: always.
        """
        raise ExportError(f"node {self.proto.name or self.output} ({self.kind})", problem, REMEDY)

    def inputs(self, *kinds: type[s.Symbol]) -> tuple[Any, ...]:
        """The inputs, which must be as many and of these kinds."""
        found = self._inputs()
        if not _are(found, kinds):
            self._refuse_use(found)
        return found

    def dispatch(self, *cases: tuple[Callable[..., s.Symbol], *tuple[type[s.Symbol], ...]]) -> s.Symbol:
        """What the first case gives whose kinds are those of the inputs."""
        found = self._inputs()
        for function, *kinds in cases:
            if _are(found, kinds):
                return function(self, *found)
        return self._refuse_use(found)

    def _inputs(self) -> tuple[s.Symbol, ...]:
        return tuple(self.found.symbols[name] for name in self.proto.input)

    def _refuse_use(self, found: tuple[s.Symbol, ...]) -> NoReturn:
        names = ", ".join(type(symbol).__name__.lower() for symbol in found)
        self.refuse(f"is applied to ({names}), a use that native code does not cover")

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
        return self.found.shapes[name]

    def map_shape(self, name: str) -> tuple[int, int, int]:
        """The shape of a value that must be a float32 map."""
        shape = self.found.shapes[name]
        if len(shape) != 3 or self.found.dtypes[name] != "float32":
            self.refuse(f"needs a float32 map (channels, rows, columns), got {self.found.dtypes[name]} {shape}")
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
        self.found.operations.append(operation)
        return self.found.value(operation.output, shape, dtype)


def _are(found: Sequence[s.Symbol], kinds: Sequence[type[s.Symbol]]) -> bool:
    return len(found) == len(kinds) and all(isinstance(a, b) for a, b in zip(found, kinds, strict=True))
