"""Operations as the kernels compute them: convolutions, however they are called, over maps with their channels last.

A dense layer is a convolution whose kernel covers the whole map. A transposed convolution with stride s is s² ordinary
ones, each of which computes the output pixels of one phase (the sub-pixel form of Shi et al. 2016).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from daenr_export.native.planning.fusing import Fused
from daenr_export.native.reading.operations import Activation, Convolution, Dense, Network, Pair, TransposedConvolution
from daenr_export.specs import Array

ALIGNMENT = 16
"""Channels are padded to a multiple of this: the widest vector that is used holds 16 floats."""


@dataclass(frozen=True)
class Storage:
    """How a value lies in memory: pixel by pixel, `pixel` floats apart, of which the first `channels` count.

    Attributes:
        image: floats from one image to the next.
    """

    height: int
    width: int
    channels: int
    pixel: int
    image: int

    @property
    def floats(self) -> int:
        """Size of one image's share."""
        return self.height * self.width * self.pixel

    @property
    def row(self) -> int:
        """Floats from one row to the next."""
        return self.width * self.pixel


def padded(count: int) -> int:
    """The count rounded up to whole vectors."""
    return -(-count // ALIGNMENT) * ALIGNMENT


def storage_of(shape: tuple[int, ...]) -> Storage:
    """How a map `(C, H, W)`, a vector `(N,)` or codes `(H, W)` lie in memory."""
    channels, height, width = shape if len(shape) == 3 else (int(np.prod(shape)), 1, 1)
    # Without the line more, images whose size is a multiple of a page would all fall on the same lines of the cache.
    return Storage(height, width, channels, padded(channels), height * width * padded(channels) + ALIGNMENT)


@dataclass(frozen=True)
class Grid:
    """Output pixels that one set of taps computes.

    Output pixel `(y, x)` of the grid, at `(origin + step · (y, x))` of the output, sums over the taps `(i, j)` the
    products with input pixel `(y, x) · stride + (i, j) - pad`, where there is one.

    Attributes:
        weight: float32 `(taps in y, taps in x, C, O padded)`.
        size: pixels of the grid.
    """

    weight: Array
    size: Pair
    stride: Pair
    pad: Pair
    origin: Pair = (0, 0)
    step: Pair = (1, 1)

    def valid(self, axis: int, position: int, extent: int) -> Pair:
        """The taps, from and to, that meet the input for a pixel of the grid."""
        first = position * self.stride[axis] - self.pad[axis]
        taps = self.weight.shape[axis]
        return min(max(0, -first), taps), max(0, min(taps, extent - first))


@dataclass(frozen=True)
class Layer:
    """A convolution in the form of the kernels.

    Attributes:
        input: name of the value that goes in.
        output: name of the value that comes out.
        source: how the input lies in memory.
        target: how the output lies in memory.
        bias: float32 `(O padded,)`.
        grids: that together make up the output.
    """

    input: str
    output: str
    source: Storage
    target: Storage
    bias: Array
    grids: tuple[Grid, ...]
    activation: Activation
    title: str = field(default="", compare=False)


def reads_vectors(layer: Layer) -> bool:
    """Whether a layer reads whole vectors of channels: all do but the first of a graph of an image."""
    return layer.source.pixel % ALIGNMENT == 0


def make_layer(fused: Fused, network: Network, source: Storage) -> Layer:
    """The layer of a fused convolution or dense operation.

    Args:
        fused: with an operation of one of those kinds.
        network: which it comes from.
        source: how its input lies in memory.
    """
    operation = fused.operation
    assert isinstance(operation, Convolution | TransposedConvolution | Dense)
    shape = network.shapes[operation.output]
    target = storage_of(shape)
    if isinstance(operation, Dense):
        weight, bias = _dense(operation, network.shapes[operation.input], shape)
        grids: tuple[Grid, ...] = (Grid(weight, (1, 1), (1, 1), (0, 0)),)
        target = Storage(1, 1, target.floats, target.floats, target.image) if len(shape) == 3 else target
    elif isinstance(operation, Convolution):
        weight = _pad_outputs(operation.weight.transpose(2, 3, 1, 0), target.pixel)
        grids = (Grid(weight, (target.height, target.width), operation.stride, operation.pads[0]),)
        bias = _pad_outputs(operation.bias, target.pixel)
    else:
        grids = tuple(_phases(operation, target))
        bias = _pad_outputs(operation.bias, target.pixel)
    title = f"{_text(network.shapes[operation.input])} → {_text(shape)}, {type(operation).__name__}"
    return Layer(operation.input, operation.output, source, target, bias, grids, fused.activation, title)


def _phases(operation: TransposedConvolution, target: Storage) -> Iterator[Grid]:
    """One grid for each pair of remainders: tap i reaches output o where the stride divides o + pad - i."""
    weight = operation.weight.transpose(2, 3, 0, 1)
    extent = (target.height, target.width)
    for first in product(*(range(min(s, n)) for s, n in zip(operation.stride, extent, strict=True))):
        slices, pads, sizes = [], [], []
        for axis in (0, 1):
            s, o = operation.stride[axis], first[axis]
            remainder = (o + operation.pads[axis]) % s
            count = len(range(remainder, weight.shape[axis], s))
            # The last of these taps meets the earliest input, so that they are taken backwards.
            slices.append([remainder + s * (count - 1 - t) for t in range(count)])
            pads.append(count - 1 - (o + operation.pads[axis] - remainder) // s)
            sizes.append(len(range(o, extent[axis], s)))
        taps = weight[np.ix_(slices[0], slices[1])]
        yield Grid(
            _pad_outputs(taps, target.pixel),
            (sizes[0], sizes[1]),
            (1, 1),
            (pads[0], pads[1]),
            (first[0], first[1]),
            operation.stride,
        )


def _dense(operation: Dense, source: tuple[int, ...], target: tuple[int, ...]) -> tuple[Array, Array]:
    """Weights and bias of a dense layer, inputs and outputs put from the order of ONNX into that of memory."""
    channels, height, width = source if len(source) == 3 else (source[0], 1, 1)
    weight = operation.weight.reshape(-1, channels, height, width).transpose(2, 3, 1, 0)
    bias = operation.bias
    if len(target) == 3:
        store = storage_of(target)
        weight, bias = _fold_outputs(weight, target, store), _fold_outputs(bias, target, store)
    return _pad_outputs(weight, padded(weight.shape[-1])), _pad_outputs(bias, padded(len(bias)))


def _fold_outputs(array: Array, target: tuple[int, ...], store: Storage) -> Array:
    pixels = array.reshape(*array.shape[:-1], target[0], target[1] * target[2]).swapaxes(-1, -2)
    return _pad_outputs(pixels, store.pixel).reshape(*array.shape[:-1], -1)


def _pad_outputs(array: Array, count: int) -> Array:
    widths = [(0, 0)] * (array.ndim - 1) + [(0, count - array.shape[-1])]
    return np.ascontiguousarray(np.pad(array, widths))


def _text(shape: tuple[int, ...]) -> str:
    return "×".join(str(size) for size in shape)
