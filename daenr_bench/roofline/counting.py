"""What a graph asks of a processor: multiply-adds, weights and activations of each layer, from its ONNX file."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from daenr_export.native.planning.fusing import Fused, fuse
from daenr_export.native.reading.operations import (
    Convolution,
    Dense,
    Lookup,
    Network,
    Operation,
    Pair,
    Pixels,
    Readout,
    TransposedConvolution,
)
from daenr_export.specs import Array

_BYTES = {"uint8": 1, "float32": 4}
_CODE_BYTES = 8


@dataclass(frozen=True)
class Work:
    """What one layer asks for, for one image.

    Activations such as ELU are not arithmetic that is counted, and no byte is counted twice.

    Attributes:
        layer: from which shape to which, and how.
        multiply_adds: that change the result, by the direct method: taps that meet the image, masks that are not zero.
        nominal_multiply_adds: with the zeros of padding and masks, as PyTorch's counter and most papers have it.
        weights: numbers that are multiplied with or looked up, zeros of masks left out.
        biases: numbers that are added; float32 at any precision.
        activation_bytes: of what goes in and what comes out, at float32.
    """

    layer: str
    multiply_adds: int
    nominal_multiply_adds: int
    weights: int
    biases: int
    activation_bytes: int

    def weight_bytes(self, bytes_each: int) -> int:
        """Bytes that must be read, with so many for a weight."""
        return self.weights * bytes_each + 4 * self.biases


@dataclass(frozen=True)
class _Arithmetic:
    multiply_adds: int = 0
    nominal: int = 0
    weights: int = 0
    biases: int = 0


def count(network: Network) -> tuple[Work, ...]:
    """The work of each layer of a graph, in order; activations and changes of shape belong to the layer before them."""
    return tuple(_work(item, network) for item in fuse(network))


def _work(item: Fused, network: Network) -> Work:
    operation = item.operation
    source, target = network.shapes[operation.input], network.shapes[operation.output]
    kind = type(operation).__name__ + ("" if item.activation == "none" else f", {item.activation}")
    found = _arithmetic(operation, source, target)
    return Work(
        f"{_text(source)} → {_text(target)}, {kind}",
        found.multiply_adds,
        found.nominal,
        found.weights,
        found.biases,
        _bytes(network, operation.input) + _bytes(network, operation.output),
    )


def _bytes(network: Network, name: str) -> int:
    """Size of a value for one image. Codes are the only values with two axes, and are int64."""
    shape = network.shapes[name]
    is_input = name == network.input.name
    each = _BYTES[network.input.dtype] if is_input else _CODE_BYTES if len(shape) == 2 else 4
    return math.prod(shape) * each


def _arithmetic(operation: Operation, source: tuple[int, ...], target: tuple[int, ...]) -> _Arithmetic:
    match operation:
        case Convolution():
            return _convolved(operation.weight, target[1:], source[1:], operation.stride, operation.pads[0], target[0])
        case TransposedConvolution():
            # The transpose of a convolution from its output to its input, which meets the same pairs.
            return _convolved(operation.weight, source[1:], target[1:], operation.stride, operation.pads, target[0])
        case Dense():
            size = operation.weight.size
            return _Arithmetic(size, size, size, len(operation.bias))
        case Readout():
            return _read_out(operation)
        case Pixels():
            size = math.prod(target)
            return _Arithmetic(size, size)
        case Lookup():
            # At most one row of the table for each pixel, and no row twice.
            codes, dimensions = operation.table.shape
            return _Arithmetic(weights=min(codes, math.prod(source)) * dimensions)
    return _Arithmetic()  # it only moves, compares or bends numbers


def _convolved(
    weight: Array, positions: tuple[int, ...], extent: tuple[int, ...], stride: Pair, pads: Pair, biases: int
) -> _Arithmetic:
    """Taps at positions, of which those within the extent count."""
    axes = zip(positions, extent, weight.shape[2:], stride, pads, strict=True)
    met = math.prod(_pairs(*axis) for axis in axes)
    channels = weight.shape[0] * weight.shape[1]
    return _Arithmetic(met * channels, math.prod(positions) * weight.size, weight.size, biases)


def _pairs(positions: int, extent: int, taps: int, stride: int, pad: int) -> int:
    """Pairs of a position and a tap that fall within the extent."""
    at = np.arange(positions)[:, np.newaxis] * stride + np.arange(taps) - pad
    return int(((at >= 0) & (at < extent)).sum())


def _read_out(operation: Readout) -> _Arithmetic:
    """The masks over each channel first, then the features: as the graph has it."""
    pixels, features = np.count_nonzero(operation.masks, axis=0), np.count_nonzero(operation.features, axis=0)
    channels, neurons = operation.features.shape
    return _Arithmetic(
        int((pixels * features + features).sum()),
        (len(operation.masks) + 1) * channels * neurons,
        int((pixels + features).sum()),
        neurons,
    )


def _text(shape: tuple[int, ...]) -> str:
    return "×".join(str(size) for size in shape)
