"""A float32 graph with its multiplications in float16: the typed graph that strongly typed TensorRT builds from.

The graph's input and outputs stay float32. What decides between alternatives or sums many terms stays float32 too:
the comparison of a VQ-VAE's vectors with its codebook, the sum over channels of the factorized readout, and softplus.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from daenr_common.errors import ExportError

FLOAT32_ONLY = frozenset({"Softplus", "Greater", "Where", "ReduceSum", "ArgMin"})
"""Operators that compute in float32; behind them everything does, up to the next multiplication."""

FLOAT16_ALWAYS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "Gather"})
"""Operators that compute in float16; every other operator follows the type of what it is given."""

HALF_MAX = float(np.finfo(np.float16).max)


def to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same function with float16 multiplications.

    Args:
        model: a float32 graph whose nodes are in topological order; not changed.

    Raises:
        ExportError: a weight is too large for float16.
    """
    return _HalfTyping(model).convert()


class _HalfTyping:
    """One pass over the nodes that keeps track of the type of every value."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        graph = self.model.graph
        self.weights = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
        self.types: dict[str, int] = {value.name: value.type.tensor_type.elem_type for value in graph.input}
        self.float32_nodes = _comparison_with_codebook(graph)
        self.nodes: list[onnx.NodeProto] = []
        self.new_weights: dict[str, onnx.TensorProto] = {}

    def convert(self) -> onnx.ModelProto:
        graph = self.model.graph
        for node in graph.node:
            self._retype(node)
        for output in graph.output:
            self._keep_float32(output)
        others = [tensor for tensor in graph.initializer if tensor.data_type != TensorProto.FLOAT]
        del graph.node[:], graph.initializer[:]
        graph.node.extend(self.nodes)
        graph.initializer.extend([*others, *self.new_weights.values()])
        return self.model

    def _retype(self, node: onnx.NodeProto) -> None:
        wanted = self._type_for(node)
        for index, name in enumerate(node.input):
            if name in self.weights:
                node.input[index] = self._weight(name, wanted)
            elif self.types.get(name) in (TensorProto.FLOAT, TensorProto.FLOAT16):
                node.input[index] = self._cast(name, wanted)
        self.nodes.append(node)
        for name in node.output:
            self.types[name] = {"ArgMin": TensorProto.INT64, "Greater": TensorProto.BOOL}.get(node.op_type, wanted)

    def _type_for(self, node: onnx.NodeProto) -> int:
        if node.op_type in FLOAT32_ONLY or node.output[0] in self.float32_nodes:
            return int(TensorProto.FLOAT)
        if node.op_type in FLOAT16_ALWAYS:
            return int(TensorProto.FLOAT16)
        return next(self.types[name] for name in node.input if name in self.types)

    def _weight(self, name: str, wanted: int) -> str:
        if wanted == TensorProto.FLOAT:
            self.new_weights[name] = self.weights[name]
            return name
        half = f"{name}.half"
        if half not in self.new_weights:
            values = numpy_helper.to_array(self.weights[name])
            if np.abs(values).max(initial=0.0) > HALF_MAX:
                problem = f"holds {np.abs(values).max():.3g}, which is above float16's {HALF_MAX:.0f}"
                raise ExportError(f"weight {name}", problem, "export with --precision fp32")
            self.new_weights[half] = numpy_helper.from_array(values.astype(np.float16), half)
        return half

    def _cast(self, name: str, wanted: int) -> str:
        if self.types[name] == wanted:
            return name
        cast = f"{name}.half" if wanted == TensorProto.FLOAT16 else f"{name}.float"
        if cast not in self.types:
            self.nodes.append(helper.make_node("Cast", [name], [cast], name=f"cast_{cast}", to=wanted))
            self.types[cast] = wanted
        return cast

    def _keep_float32(self, output: onnx.ValueInfoProto) -> None:
        """Let an output that came out as float16 go under another name inside, and be cast to its own at the end."""
        name = output.name
        if self.types[name] != TensorProto.FLOAT16:
            return
        inner = f"{name}.inner"
        for node in self.nodes:
            node.input[:] = [inner if value == name else value for value in node.input]
            node.output[:] = [inner if value == name else value for value in node.output]
        self.nodes.append(helper.make_node("Cast", [inner], [name], name=f"cast_{name}", to=TensorProto.FLOAT))


def _comparison_with_codebook(graph: onnx.GraphProto) -> set[str]:
    """Outputs of the nodes between a VQ-VAE's last convolution and its argmin: half precision would flip near ties."""
    made_by = {output: node for node in graph.node for output in node.output}
    waiting = [node for node in graph.node if node.op_type == "ArgMin"]
    found: set[str] = set()
    while waiting:
        node = waiting.pop()
        found.add(node.output[0])
        waiting += [made_by[name] for name in node.input if name in made_by and made_by[name].op_type != "Conv"]
    return found
