"""An ONNX graph as TensorRT's parser sees it: its tensors, and the precision that its layers have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, final

from daenr_common.errors import ExportError
from daenr_export.specs import GraphSpec, TensorSpec
from daenr_export.tensorrt.messages import collecting_logger, parser_errors

COMPUTE_LAYERS = frozenset({"CONVOLUTION", "DECONVOLUTION", "MATRIX_MULTIPLY", "EINSUM"})
"""The layers that multiply and add. What they compute in is the precision of the graph."""

_NUMPY_NAMES = {"FLOAT": "float32", "HALF": "float16", "BF16": "bfloat16"}
_PRECISIONS = {"HALF": "fp16", "BF16": "bf16"}


@final
@dataclass(frozen=True)
class ParsedGraph:
    """A strongly typed network, with the objects that must live as long as it does."""

    trt: ModuleType
    logger: Any
    builder: Any
    network: Any
    parser: Any


def parse(trt: ModuleType, onnx: bytes, graph: GraphSpec) -> ParsedGraph:
    """Read an ONNX graph.

    Raises:
        ExportError: TensorRT does not take it; the nodes that it objects to are named.
    """
    logger = collecting_logger(trt)
    builder = trt.Builder(logger)
    # TensorRT 11 and RTX know no other networks; earlier versions must be told.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(onnx):
        problem = f"is not accepted by TensorRT's parser: {parser_errors(parser)}"
        raise ExportError(f"graph {graph.name}", problem, "export it again with the versions that daenr asks for")
    return ParsedGraph(trt, logger, builder, network, parser)


def precision_of(parsed: ParsedGraph, *, tf32: bool) -> str:
    """The precision that a graph really has: int8 if some of its compute layers multiply what was quantised, else the
    type that most of them put out.

    A few layers of a half-precision graph stay float32 on purpose (a VQ-VAE compares with its codebook in float32), and
    as many of an int8 graph as the contract asks for.

    Args:
        parsed: the graph.
        tf32: whether the builder may round the factors of float32 products to TF32.

    Returns:
        `fp32`, `tf32`, `fp16`, `bf16` or `int8`.
    """
    layers = [parsed.network.get_layer(index) for index in range(parsed.network.num_layers)]
    dequantised = {layer.get_output(0).name for layer in layers if layer.type.name == "DEQUANTIZE"}
    compute = [layer for layer in layers if layer.type.name in COMPUTE_LAYERS]
    if any(layer.get_input(0).name in dequantised for layer in compute):
        return "int8"
    types = Counter(layer.get_output(0).dtype.name for layer in compute)
    most, _ = types.most_common(1)[0] if types else ("FLOAT", 0)
    return _PRECISIONS.get(most, "tf32" if tf32 else "fp32")


def differences(parsed: ParsedGraph, graph: GraphSpec) -> list[str]:
    """How the inputs and outputs of a network differ from what a graph is said to have; empty where they agree."""
    network = parsed.network
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    outputs = [network.get_output(index) for index in range(network.num_outputs)]
    return [*_compare("input", inputs, (graph.input,)), *_compare("output", outputs, graph.outputs)]


def numpy_name(dtype: Any) -> str:
    """The numpy name of a `DataType` of TensorRT."""
    name: str = dtype.name
    return _NUMPY_NAMES.get(name, name.lower())


def _compare(kind: str, found: list[Any], wanted: tuple[TensorSpec, ...]) -> Iterator[str]:
    names = [tensor.name for tensor in found], [spec.name for spec in wanted]
    if names[0] != names[1]:
        yield f"{kind}s {names[0]} instead of {names[1]}"
        return
    for tensor, spec in zip(found, wanted, strict=True):
        has, should_have = (numpy_name(tensor.dtype), *tensor.shape), (spec.dtype, -1, *spec.shape)
        if has != should_have:
            yield f"{kind} {spec.name} {has} instead of {should_have}"
