"""Small ONNX graphs of the operations that native code covers, as the exporter writes them, in any shape."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

TYPES = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "int64": TensorProto.INT64}


class GraphBuilder:
    """Adds node after node; each method takes and gives the name of a value."""

    def __init__(self, *shape: int, dtype: str = "float32", seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.input = helper.make_tensor_value_info("image", TYPES[dtype], ["batch", *shape])
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, np.ndarray] = {}
        self.shapes: dict[str, tuple[int, ...]] = {"image": shape}

    def node(self, kind: str, *inputs: str, shape: tuple[int, ...] = (), **attributes) -> str:
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=f"node_{name}", **attributes))
        self.shapes[name] = shape
        return name

    def weight(self, values, dtype=np.float32) -> str:
        name = f"weight_{len(self.weights)}"
        self.weights[name] = np.ascontiguousarray(values, dtype)
        return name

    def normal(self, *shape: int, scale: float = 1.0) -> str:
        return self.weight(self.rng.normal(0, scale, shape))

    def conv(self, x: str, outputs: int, kernel=(4, 4), stride=(2, 2), pads=(1, 1, 1, 1)) -> str:
        channels, *size = self.shapes[x]
        out = [(n + a + b - k) // s + 1 for n, a, b, k, s in zip(size, pads[:2], pads[2:], kernel, stride, strict=True)]
        weight = self.normal(outputs, channels, *kernel, scale=(channels * kernel[0] * kernel[1]) ** -0.5)
        attributes = {"kernel_shape": kernel, "strides": stride, "pads": pads}
        bias = self.normal(outputs, scale=0.3)
        return self.node("Conv", x, weight, bias, shape=(outputs, *out), **attributes)

    def conv_transpose(self, x: str, outputs: int, kernel=(4, 4), stride=(2, 2), pads=(1, 1, 1, 1)) -> str:
        channels, *size = self.shapes[x]
        out = [(n - 1) * s + k - a - b for n, a, b, k, s in zip(size, pads[:2], pads[2:], kernel, stride, strict=True)]
        weight = self.normal(channels, outputs, *kernel, scale=(channels * 4) ** -0.5)
        attributes = {"kernel_shape": kernel, "strides": stride, "pads": pads}
        bias = self.normal(outputs, scale=0.3)
        return self.node("ConvTranspose", x, weight, bias, shape=(outputs, *out), **attributes)

    def activate(self, x: str, kind: str) -> str:
        return self.node(kind, x, shape=self.shapes[x])

    def softplus(self, x: str) -> str:
        above = self.node("Greater", x, self.weight(20.0))
        return self.node("Where", above, x, self.node("Softplus", x), shape=self.shapes[x])

    def flatten(self, x: str) -> str:
        count = int(np.prod(self.shapes[x]))
        return self.node("Reshape", x, self.weight([-1, count], np.int64), shape=(count,), allowzero=1)

    def fold(self, x: str, *shape: int) -> str:
        return self.node("Reshape", x, self.weight([-1, *shape], np.int64), shape=shape, allowzero=1)

    def dense(self, x: str, outputs: int) -> str:
        (count,) = self.shapes[x]
        weight = self.normal(outputs, count, scale=count**-0.5)
        return self.node("Gemm", x, weight, self.normal(outputs, scale=0.3), shape=(outputs,), transB=1)

    def readout(self, x: str, neurons: int, zeros: float = 0.0) -> str:
        channels, height, width = self.shapes[x]
        places = height * width
        masks = self.rng.normal(0, places**-0.5, (places, neurons))
        masks[self.rng.random(masks.shape) < zeros] = 0
        rows = self.node("Reshape", x, self.weight([-1, channels, places], np.int64), allowzero=1)
        masked = self.node("MatMul", rows, self.weight(masks))
        weighted = self.node("Mul", masked, self.normal(channels, neurons, scale=channels**-0.5))
        summed = self.node("ReduceSum", weighted, self.weight([1], np.int64), keepdims=0)
        return self.node("Add", summed, self.normal(neurons, scale=0.3), shape=(neurons,))

    def quantise(self, x: str, codes: int) -> tuple[str, str]:
        """The codes, and the rows of the codebook that they choose as a map."""
        channels, height, width = self.shapes[x]
        codebook = self.rng.normal(0, 1, (codes, channels)).astype(np.float32)
        last = self.node("Transpose", x, perm=[0, 2, 3, 1])
        doubled = self.node("Mul", last, self.weight(2.0))
        products = self.node("MatMul", doubled, self.weight(codebook.T))
        distances = self.node("Sub", self.weight((codebook**2).sum(1)), products)
        chosen = self.node("ArgMin", distances, shape=(height, width), axis=-1, keepdims=0)
        rows = self.node("Gather", self.weight(codebook), chosen, axis=0)
        return chosen, self.node("Transpose", rows, shape=(channels, height, width), perm=[0, 3, 1, 2])

    def pixels(self, x: str) -> str:
        cast = self.node("Cast", x, to=TensorProto.FLOAT)
        scaled = self.node("Mul", cast, self.weight(1 / 127.5))
        return self.node("Add", scaled, self.weight(-1.0), shape=self.shapes[x])

    def standardise(self, x: str) -> str:
        shape = self.shapes[x]
        centred = self.node("Sub", x, self.normal(*shape))
        return self.node("Mul", centred, self.normal(*shape), shape=shape)

    def build(self, *outputs: str, opset: int = 20) -> bytes:
        """The graph with the outputs renamed to `first`, `second`, …"""
        names = dict(zip(outputs, ("first", "second", "third"), strict=False))
        for node in self.nodes:
            node.input[:] = [names.get(name, name) for name in node.input]
            node.output[:] = [names.get(name, name) for name in node.output]
        kinds = {node.output[0]: node.op_type for node in self.nodes}
        infos = [
            helper.make_tensor_value_info(
                names[name],
                TensorProto.INT64 if kinds[names[name]] == "ArgMin" else TensorProto.FLOAT,
                ["batch", *self.shapes[name]],
            )
            for name in outputs
        ]
        initializers = [numpy_helper.from_array(array, name) for name, array in self.weights.items()]
        graph = helper.make_graph(self.nodes, "test", [self.input], infos, initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString()


def autoencoder(channels: int = 32, neurons: int = 11, seed: int = 0) -> bytes:
    """All kinds of kernels in one small graph: the joint graph of a model with two stages."""
    g = GraphBuilder(1, 32, 32, seed=seed)
    features = g.activate(g.conv(g.activate(g.conv("image", channels), "Elu"), 2 * channels), "Elu")
    responses = g.softplus(g.readout(features, neurons))
    deep = g.activate(g.conv(g.activate(g.conv(features, 48), "Elu"), 64), "Elu")
    latent = g.dense(g.dense(g.flatten(deep), 10), 256)
    up = g.activate(g.conv_transpose(g.fold(latent, 64, 2, 2), 48), "Elu")
    up = g.activate(g.conv_transpose(g.activate(g.conv_transpose(up, 32), "Elu"), 16), "Elu")
    return g.build(responses, g.activate(g.conv_transpose(up, 1), "Tanh"))


def reference(content: bytes, batch: np.ndarray) -> list[np.ndarray]:
    with np.errstate(all="ignore"):
        model = onnx.load_from_string(content)
        return ReferenceEvaluator(model).run(None, {model.graph.input[0].name: batch})


def images(content: bytes, count: int, seed: int = 0) -> np.ndarray:
    """Input for a graph: uniform in [-1, 1], or any pixels."""
    entry = onnx.load_from_string(content).graph.input[0].type.tensor_type
    shape, rng = [axis.dim_value for axis in entry.shape.dim[1:]], np.random.default_rng(seed)
    if entry.elem_type == TensorProto.UINT8:
        return rng.integers(0, 256, (count, *shape), np.uint8)
    return rng.uniform(-1, 1, (count, *shape)).astype(np.float32)
