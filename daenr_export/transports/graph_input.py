"""From pixels to what a graph takes: cropped, averaged down, and scaled as the bundle says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self, final

import numpy as np

from daenr_common.errors import SpecError
from daenr_export.runtime.model import Model
from daenr_export.specs import Array, TensorSpec

IMAGE = TensorSpec("image", "float32", (1, 32, 32))


@final
@dataclass(frozen=True)
class GraphInput:
    """Turns grey pixels of any size into a graph's image.

    The largest part in the middle that has the shape of the graph's image is kept, so that nothing is squashed, and
    each pixel becomes the mean of the area that it covers.

    Attributes:
        spec: of the graph's input: one channel, float32 or uint8.
        scale: a float32 graph is given `pixel * scale + offset`; a uint8 graph scales by itself.
        offset: see `scale`.
        crop: False to squash the whole image into shape.

    Raises:
        SpecError: the graph takes no grey image.
    """

    spec: TensorSpec = IMAGE
    scale: float = 1 / 127.5
    offset: float = -1.0
    crop: bool = True

    def __post_init__(self) -> None:
        shape = self.spec.shape
        if len(shape) != 3 or shape[0] != 1 or self.spec.dtype not in ("float32", "uint8"):
            problem = f"is {self.spec.dtype} of shape {shape}, expected float32 or uint8 of shape (1, height, width)"
            raise SpecError(f"input {self.spec.name}", problem, "name a graph that takes an image, e.g. responses")

    @classmethod
    def of(cls, model: Model, graph: str = "responses", *, crop: bool = True) -> Self:
        """What a graph of a bundle takes, scaled as its manifest says.

        Raises:
            SpecError: the bundle has no such graph, or the graph takes no image.
        """
        if graph not in model.graphs:
            raise SpecError("graph", f"{graph} is not in the bundle", f"name one of {', '.join(model.graphs)}")
        pixels = model.manifest.preprocessing
        return cls(model.graphs[graph].input, pixels.scale, pixels.offset, crop)

    def __call__(self, pixels: Array) -> Array:
        """The image of a graph.

        Args:
            pixels: `(height, width)` uint8.

        Returns:
            `(1, 1, *spec.shape[1:])` of the graph's dtype.
        """
        height, width = self.spec.shape[1:]
        image = pixels if pixels.shape == (height, width) else self._average(pixels)
        if self.spec.dtype == "uint8":
            image = np.rint(image).astype(np.uint8)
        else:
            image = image.astype(np.float32) * np.float32(self.scale) + np.float32(self.offset)
        return image.reshape(1, 1, height, width)

    def _average(self, pixels: Array) -> Array:
        have, want = pixels.shape, self.spec.shape[1:]
        # Pixels of the original to one of the graph's, downwards and to the right.
        steps = [size / count for size, count in zip(have, want, strict=True)]
        if self.crop:
            steps = [min(steps)] * 2
        rows = _means(pixels, want[0], steps[0])
        return _means(rows.T, want[1], steps[1]).T


def _means(values: Array, count: int, step: float) -> Array:
    """Means of `count` parts of the first axis, each `step` long, in its middle; what is partly in counts in part."""
    start = (len(values) - count * step) / 2
    means = np.empty((count, values.shape[1]), np.float32)
    for index in range(count):
        low, high = start + index * step, start + (index + 1) * step
        first, last = int(low), min(math.ceil(high), len(values))
        positions = np.arange(first, last)
        overlaps = np.minimum(positions + 1, high) - np.maximum(positions, low)
        # Not a product of matrices: BLAS would start threads, on the cores of the rig.
        np.einsum("n,nm->m", (overlaps / step).astype(np.float32), values[first:last], out=means[index])
    return means
