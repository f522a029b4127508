"""A transposed convolution with few output channels, as products of each input pixel with all taps and sums of them.

With the sub-pixel form a vector of output channels would be almost empty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daenr_export.native.planning.fusing import Fused
from daenr_export.native.planning.layers import ALIGNMENT, Grid, Layer, Storage, padded
from daenr_export.native.reading.operations import Activation, Network, Pair, TransposedConvolution
from daenr_export.specs import Array

MOST_CHANNELS = 4
MOST_TAPS = 64


@dataclass(frozen=True)
class Spread:
    """Such a convolution.

    Attributes:
        products: the layer that multiplies; its output is scratch, with margins of zeros.
        output: name of the value that comes out.
        target: how it lies in memory: pixel by pixel, without padding.
        bias: float32 `(O,)`.
        taps: of the kernel.
        margin: of the products, in pixels.
    """

    products: Layer
    output: str
    target: Storage
    bias: Array
    activation: Activation
    taps: Pair
    stride: Pair
    pads: Pair
    margin: Pair

    @property
    def input(self) -> str:
        """Name of the value that goes in."""
        return self.products.input


def suits_spread(fused: Fused, network: Network) -> bool:
    """Whether an operation is such a convolution, and what it computes goes to the caller only."""
    operation = fused.operation
    if not isinstance(operation, TransposedConvolution):
        return False
    _, outputs, height, width = operation.weight.shape
    is_read = any(other.input == operation.output for other in network.operations)
    return outputs <= MOST_CHANNELS and outputs * height * width <= MOST_TAPS and not is_read


def make_spread(fused: Fused, network: Network, source: Storage) -> Spread:
    """The two halves of an operation that `suits_spread`."""
    operation = fused.operation
    assert isinstance(operation, TransposedConvolution)
    channels, outputs, taps_y, taps_x = operation.weight.shape
    taps, stride, pads = (taps_y, taps_x), operation.stride, operation.pads
    _, height, width = network.shapes[operation.output]
    margin = (
        _margin(taps_y, stride[0], pads[0], source.height, height),
        _margin(taps_x, stride[1], pads[1], source.width, width),
    )
    count = padded(outputs * taps_y * taps_x)
    weight = operation.weight.transpose(0, 2, 3, 1).reshape(1, 1, channels, -1)
    weight = np.ascontiguousarray(np.pad(weight, ((0, 0), (0, 0), (0, 0), (0, count - weight.shape[-1]))))
    rows, columns = source.height + 2 * margin[0], source.width + 2 * margin[1]
    between = Storage(rows, columns, count, count, rows * columns * count)
    grid = Grid(weight, (source.height, source.width), (1, 1), (0, 0), origin=margin)
    title = f"{channels}×{source.height}×{source.width} → {outputs}×{height}×{width}, TransposedConvolution"
    products = Layer(
        operation.input, operation.output, source, between, np.zeros(count, np.float32), (grid,), "none", title
    )
    target = Storage(height, width, outputs, outputs, padded(height * width * outputs) + ALIGNMENT)
    return Spread(products, operation.output, target, operation.bias, fused.activation, taps, stride, pads, margin)


def _margin(taps: int, stride: int, pad: int, inputs: int, outputs: int) -> int:
    """Pixels before and behind the products that sums reach for."""
    nearest = -(-taps // stride)
    furthest = (outputs - 1 + pad) // stride
    return max(nearest, furthest - inputs + 1, 0)
