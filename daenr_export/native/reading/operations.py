"""What a graph computes, as a few typed operations: the form between the ONNX file and the generated C.

A value is one image's share of a tensor, without the batch axis. Its shape is that of ONNX: `(C, H, W)` for a map,
`(N,)` for a vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from daenr_export.specs import Array, TensorSpec

Activation = Literal["none", "elu", "tanh", "softplus", "exp"]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Convolution:
    """`output[o, y, x] = bias[o] + Σ weight[o, c, i, j] · input[c, y·stride + i - pad, x·stride + j - pad]`.

    Attributes:
        weight: float32 `(O, C, kernel height, kernel width)`.
        bias: float32 `(O,)`.
        pads: rows and columns of zeros before the image and behind it: `((top, left), (bottom, right))`.
    """

    input: str
    output: str
    weight: Array
    bias: Array
    stride: Pair
    pads: tuple[Pair, Pair]


@dataclass(frozen=True)
class TransposedConvolution:
    """The transpose: `output[o, y·stride + i - pad, x·stride + j - pad] += weight[c, o, i, j] · input[c, y, x]`.

    Attributes:
        weight: float32 `(C, O, kernel height, kernel width)`.
        bias: float32 `(O,)`.
        pads: rows and columns cut off at the top and left; what the bottom and right lose follows from the shape.
    """

    input: str
    output: str
    weight: Array
    bias: Array
    stride: Pair
    pads: Pair


@dataclass(frozen=True)
class Dense:
    """`output = weight @ input + bias`; a map is taken in the order of ONNX, channel, row, column.

    Attributes:
        weight: float32 `(N, K)`.
        bias: float32 `(N,)`.
    """

    input: str
    output: str
    weight: Array
    bias: Array


@dataclass(frozen=True)
class Readout:
    """The factorized readout, `output[n] = bias[n] + Σ_c features[c, n] · Σ_p masks[p, n] · input[c, p]`.

    Attributes:
        masks: float32 `(H·W, N)`.
        features: float32 `(C, N)`.
        bias: float32 `(N,)`.
    """

    input: str
    output: str
    masks: Array
    features: Array
    bias: Array


@dataclass(frozen=True)
class Pixels:
    """A uint8 image as float32: `output = input · scale + offset`."""

    input: str
    output: str
    scale: float
    offset: float


@dataclass(frozen=True)
class Standardise:
    """A map with each of its numbers shifted and scaled: `output = (input - mean) · scale`.

    Attributes:
        mean: float32 `(C, H, W)`.
        scale: float32 `(C, H, W)`.
    """

    input: str
    output: str
    mean: Array
    scale: Array


@dataclass(frozen=True)
class Activate:
    """An activation, element by element."""

    input: str
    output: str
    kind: Activation


@dataclass(frozen=True)
class Nearest:
    """For each pixel the channel with the smallest value, the first of several: `(C, H, W)` → int64 `(H, W)`."""

    input: str
    output: str


@dataclass(frozen=True)
class Lookup:
    """For each code its row of the table as the channels of the pixel: int64 `(H, W)` → `(D, H, W)`.

    Attributes:
        table: float32 `(codes, D)`.
    """

    input: str
    output: str
    table: Array


@dataclass(frozen=True)
class Fold:
    """A vector as a map or a map as a vector: the same numbers in the order of ONNX."""

    input: str
    output: str


Operation = (
    Convolution | TransposedConvolution | Dense | Readout | Pixels | Standardise | Activate | Nearest | Lookup | Fold
)


@dataclass(frozen=True)
class Network:
    """One graph: operations in an order in which each finds its input computed.

    Attributes:
        name: of the graph, e.g. `responses`.
        input: the one input.
        outputs: in the graph's order.
        shapes: of every value, by name.
        operations: as read; nothing is fused yet.
    """

    name: str
    input: TensorSpec
    outputs: tuple[TensorSpec, ...]
    shapes: dict[str, tuple[int, ...]]
    operations: tuple[Operation, ...]
