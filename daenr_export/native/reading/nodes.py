"""What each kind of ONNX node means: one function a kind, from a node to the symbol that its output stands for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np

from daenr_export.native.reading import symbols as s
from daenr_export.native.reading.node import Node
from daenr_export.native.reading.operations import (
    Activate,
    Convolution,
    Dense,
    Fold,
    Lookup,
    Nearest,
    Pixels,
    Readout,
    Standardise,
    TransposedConvolution,
)

SOFTPLUS_IS_IDENTITY_FROM = 17.0
"""From here on softplus is its argument in float32: log1p(exp(-17)) is below half a unit in the last place of 17."""


def _convolution(node: Node) -> s.Symbol:
    x, weight, bias = _with_bias(node, s.Value)
    channels, height, width = node.map_shape(x.name)
    array = node.weight(weight, None, channels, None, None)
    pads, stride = _geometry(node, array.shape[2:])
    out = [
        (size + before + behind - kernel) // step + 1
        for size, before, behind, kernel, step in zip((height, width), *pads, array.shape[2:], stride, strict=True)
    ]
    operation = Convolution(x.name, node.output, array, _bias(node, bias, len(array)), stride, pads)
    return node.add(operation, (len(array), *out))


def _transposed_convolution(node: Node) -> s.Symbol:
    x, weight, bias = _with_bias(node, s.Value)
    channels, height, width = node.map_shape(x.name)
    array = node.weight(weight, channels, None, None, None)
    extra = tuple(node.attributes(**_CONVOLUTION, output_padding=None)["output_padding"] or (0, 0))
    pads, stride = _geometry(node, array.shape[2:], output_padding=None)
    out = [
        (size - 1) * step + more + kernel - before - behind
        for size, before, behind, kernel, step, more in zip(
            (height, width), *pads, array.shape[2:], stride, extra, strict=True
        )
    ]
    outputs = array.shape[1]
    operation = TransposedConvolution(x.name, node.output, array, _bias(node, bias, outputs), stride, pads[0])
    return node.add(operation, (outputs, *out))


_CONVOLUTION: dict[str, Any] = {
    "group": 1, "auto_pad": "NOTSET", "dilations": [1, 1], "kernel_shape": None, "strides": None, "pads": None,
}  # fmt: skip


def _geometry(
    node: Node, kernel: tuple[int, ...], **more: Any
) -> tuple[tuple[tuple[int, int], tuple[int, int]], tuple[int, int]]:
    """Pads before and behind, and strides, of rows and columns."""
    attributes = node.attributes(**_CONVOLUTION, **more)
    if tuple(attributes["kernel_shape"] or kernel) != tuple(kernel):
        node.refuse(f"has the attribute kernel_shape = {attributes['kernel_shape']}, but a kernel of {kernel}")
    top, left, bottom, right = attributes["pads"] or (0, 0, 0, 0)
    rows, columns = attributes["strides"] or (1, 1)
    if min(top, left, bottom, right) < 0 or min(rows, columns) < 1:
        node.refuse(
            f"has pads {attributes['pads']} and strides {attributes['strides']}, which native code does not cover"
        )
    return ((top, left), (bottom, right)), (rows, columns)


def _with_bias(node: Node, *kinds: type[s.Symbol]) -> tuple[Any, ...]:
    """Input, weight, and bias or None."""
    if len(node.proto.input) == 2:
        return (*node.inputs(*kinds, s.Constant), None)
    return node.inputs(*kinds, s.Constant, s.Constant)


def _bias(node: Node, bias: s.Constant | None, count: int) -> Any:
    return np.zeros(count, np.float32) if bias is None else node.weight(bias, count)


def _gemm(node: Node) -> s.Symbol:
    attributes = node.attributes(alpha=1.0, beta=1.0, transA=0, transB=None)
    is_map = isinstance(node.found.symbols[node.proto.input[0]], s.Flattened)
    x, weight, bias = _with_bias(node, s.Flattened if is_map else s.Value)
    name = x.map if is_map else x.name
    if not is_map and len(node.shape(name)) != 1:
        node.refuse(f"needs a vector, got the shape {node.shape(name)}")
    array = node.weight(weight, None, None)
    array = np.ascontiguousarray(array if attributes["transB"] else array.T)
    if array.shape[1] != np.prod(node.shape(name)):
        node.refuse(f"has a weight for {array.shape[1]} inputs, but {node.shape(name)} comes in")
    return node.add(Dense(name, node.output, array, _bias(node, bias, len(array))), (len(array),))


def _reshape(node: Node) -> s.Symbol:
    node.attributes(allowzero=None)
    x, target = node.inputs(s.Value, s.Constant)
    old = node.shape(x.name)
    batch, *new = (int(size) for size in target.array.reshape(-1))
    if batch == -1 and len(old) == 3 and new == [old[0], old[1] * old[2]]:
        return s.Channels(x.name)
    if batch == -1 and len(old) == 3 and new == [int(np.prod(old))]:
        return s.Flattened(x.name, node.add(Fold(x.name, node.output), tuple(new)).name)
    if batch == -1 and len(old) == 1 and len(new) == 3 and int(np.prod(new)) == old[0] and min(new) > 0:
        return node.add(Fold(x.name, node.output), tuple(new))
    return node.refuse(f"makes {(batch, *new)} of {('batch', *old)}, a change of shape that native code does not cover")


def _activation(kind: Any) -> Callable[[Node], s.Symbol]:
    def read(node: Node) -> s.Symbol:
        node.attributes(**({"alpha": 1.0} if kind == "elu" else {}))
        (x,) = node.inputs(s.Value)
        return node.add(Activate(x.name, node.output, kind), node.shape(x.name))

    return read


def _greater(node: Node) -> s.Symbol:
    node.attributes()
    x, threshold = node.inputs(s.Value, s.Constant)
    return s.Above(x.name, node.scalar(threshold))


def _where(node: Node) -> s.Symbol:
    """PyTorch's softplus: the argument itself where it is above a threshold."""
    node.attributes()
    above, x, otherwise = node.inputs(s.Above, s.Value, s.Value)
    made_by = node.found.maker(otherwise.name)
    if (
        not isinstance(made_by, Activate)
        or made_by.kind != "softplus"
        or not made_by.input == x.name == above.value
        or above.threshold < SOFTPLUS_IS_IDENTITY_FROM
    ):
        node.refuse("chooses between values that are no softplus and its argument, which native code does not cover")
    return node.add(Activate(x.name, node.output, "softplus"), node.shape(x.name))


def _matmul(node: Node) -> s.Symbol:
    node.attributes()
    return node.dispatch((_masked, s.Channels, s.Constant), (_products, s.PixelsFirst, s.Constant))


def _masked(node: Node, x: s.Channels, masks: s.Constant) -> s.Symbol:
    _, height, width = node.map_shape(x.map)
    return s.Masked(x.map, node.weight(masks, height * width, None))


def _products(node: Node, x: s.PixelsFirst, matrix: s.Constant) -> s.Symbol:
    channels, _, _ = node.map_shape(x.map)
    return s.Products(x.map, node.weight(matrix, channels, None) * np.float32(x.scale))


def _multiply(node: Node) -> s.Symbol:
    node.attributes()
    return node.dispatch(
        (_weighted, s.Masked, s.Constant),
        (_rescaled, s.PixelsFirst, s.Constant),
        (_rescaled, s.Scaled, s.Constant),
        (_standardised, s.Centred, s.Constant),
    )


def _rescaled(node: Node, x: s.PixelsFirst | s.Scaled, by: s.Constant) -> s.Symbol:
    return replace(x, scale=x.scale * node.scalar(by))


def _standardised(node: Node, x: s.Centred, scale: s.Constant) -> s.Symbol:
    shape = node.map_shape(x.map)
    return node.add(Standardise(x.map, node.output, x.mean, node.weight(scale, *shape)), shape)


def _weighted(node: Node, x: s.Masked, features: s.Constant) -> s.Symbol:
    if x.features is not None or x.summed:
        node.refuse("multiplies a readout by two sets of features")
    return replace(x, features=node.weight(features, node.shape(x.map)[0], x.masks.shape[1]))


def _sum(node: Node) -> s.Symbol:
    node.attributes(keepdims=0, noop_with_empty_axes=0)
    x, axes = node.inputs(s.Masked, s.Constant)
    x = cast("s.Masked", x)
    if axes.array.tolist() not in ([1], [-2]) or x.features is None:
        node.refuse("sums over something else than the channels of a readout")
    return replace(x, summed=True)


def _add(node: Node) -> s.Symbol:
    node.attributes()
    return node.dispatch((_readout, s.Masked, s.Constant), (_pixels, s.Scaled, s.Constant))


def _readout(node: Node, x: s.Masked, bias: s.Constant) -> s.Symbol:
    if not x.summed or x.features is None:
        node.refuse("adds to a readout before its sum over channels")
    count = x.masks.shape[1]
    return node.add(Readout(x.map, node.output, x.masks, x.features, node.weight(bias, count)), (count,))


def _pixels(node: Node, x: s.Scaled, offset: s.Constant) -> s.Symbol:
    return node.add(Pixels(x.image, node.output, x.scale, node.scalar(offset)), node.shape(x.image))


def _cast(node: Node) -> s.Symbol:
    node.attributes(to=1, saturate=1)
    (x,) = node.inputs(s.Value)
    if node.found.dtypes[x.name] != "uint8":
        node.refuse(f"casts from {node.found.dtypes[x.name]}, expected uint8")
    return s.Scaled(x.name)


def _transpose(node: Node) -> s.Symbol:
    to_last = isinstance(node.found.symbols[node.proto.input[0]], s.Value)
    node.attributes(perm=[0, 2, 3, 1] if to_last else [0, 3, 1, 2])
    if to_last:
        (x,) = node.inputs(s.Value)
        node.map_shape(x.name)
        return s.PixelsFirst(x.name)
    (rows,) = node.inputs(s.Rows)
    return node.add(Lookup(rows.codes, node.output, rows.table), (rows.table.shape[1], *node.shape(rows.codes)))


def _subtract(node: Node) -> s.Symbol:
    node.attributes()
    return node.dispatch((_centred, s.Value, s.Constant), (_distances, s.Constant, s.Products))


def _centred(node: Node, x: s.Value, mean: s.Constant) -> s.Symbol:
    return s.Centred(x.name, node.weight(mean, *node.map_shape(x.name)))


def _distances(node: Node, norms: s.Constant, x: s.Products) -> s.Symbol:
    """The squared norm of each code less twice its product with the pixel: a distance, up to the pixel's own norm."""
    _, height, width = node.map_shape(x.map)
    count = x.matrix.shape[1]
    weight = np.ascontiguousarray(-x.matrix.T).reshape(count, -1, 1, 1)
    bias = node.weight(norms, count)
    distances = node.add(
        Convolution(x.map, node.output, weight, bias, (1, 1), ((0, 0), (0, 0))), (count, height, width)
    )
    return s.PixelsFirst(distances.name)


def _argmin(node: Node) -> s.Symbol:
    axis = node.attributes(axis=None, keepdims=0, select_last_index=0)["axis"]
    (x,) = node.inputs(s.PixelsFirst)
    if axis not in (-1, 3) or x.scale != 1:
        node.refuse("takes the minimum over something else than the codes of a codebook")
    return node.add(Nearest(x.map, node.output), node.shape(x.map)[1:], "int64")


def _gather(node: Node) -> s.Symbol:
    node.attributes(axis=0)
    table, codes = node.inputs(s.Constant, s.Value)
    made_by = node.found.maker(codes.name)
    array = node.weight(table, None, None)
    if not isinstance(made_by, Nearest) or node.shape(made_by.input)[0] > len(array):
        node.refuse("looks up something else than the codes of a codebook")
    return s.Rows(codes.name, array)


READERS: dict[str, Callable[[Node], s.Symbol]] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Mul": _multiply,
    "Add": _add,
    "Sub": _subtract,
    "ReduceSum": _sum,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Cast": _cast,
    "Elu": _activation("elu"),
    "Tanh": _activation("tanh"),
    "Softplus": _activation("softplus"),
    "Exp": _activation("exp"),
    "Greater": _greater,
    "Where": _where,
    "ArgMin": _argmin,
    "Gather": _gather,
}
"""The operations that are covered, by their names in ONNX."""
