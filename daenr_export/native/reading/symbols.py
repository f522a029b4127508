"""What a name of an ONNX graph stands for while the graph is read.

Most names are values. The others are steps on the way to one operation of ours for which ONNX takes several nodes: a
product with masks is not computed, but remembered until the sum over channels makes a readout of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from daenr_export.specs import Array


@dataclass(frozen=True)
class Value:
    """Something that is computed, by the name that operations know it by."""

    name: str


@dataclass(frozen=True)
class Constant:
    """A weight."""

    array: Array


@dataclass(frozen=True)
class Flattened:
    """A map as a vector; `map` is what it was before."""

    map: str
    vector: str


@dataclass(frozen=True)
class Channels:
    """A map as one row of pixels for each channel, `(C, H·W)`."""

    map: str


@dataclass(frozen=True)
class Masked:
    """`Channels @ masks`, `(C, N)`; once multiplied by `features` and summed over channels, a readout without bias."""

    map: str
    masks: Array
    features: Array | None = None
    summed: bool = False


@dataclass(frozen=True)
class Scaled:
    """A uint8 image cast to float32, times `scale`."""

    image: str
    scale: float = 1.0


@dataclass(frozen=True)
class PixelsFirst:
    """A map with its channels last, `(H, W, C)`, times `scale`."""

    map: str
    scale: float = 1.0


@dataclass(frozen=True)
class Products:
    """`PixelsFirst @ matrix`, `(H, W, K)`; the scale is already in the matrix."""

    map: str
    matrix: Array


@dataclass(frozen=True)
class Centred:
    """A map less `mean`, `(C, H, W)`."""

    map: str
    mean: Array


@dataclass(frozen=True)
class Above:
    """Where a value is above a threshold."""

    value: str
    threshold: float


@dataclass(frozen=True)
class Rows:
    """The rows of a table that codes choose, `(H, W, D)`."""

    codes: str
    table: Array


Symbol = Value | Constant | Flattened | Channels | Masked | Scaled | PixelsFirst | Products | Centred | Above | Rows
