"""The golden file: images, and what the PyTorch model answered to them in float64. Reading it needs only numpy.

Arrays by name: `image` is what goes into graphs of an image, `<graph>.<output>` what each graph must answer. Graphs of
features are fed with `encoder.features`. For a bundle of pixels, `image` is uint8 and `image.scaled` what it means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daenr_common.errors import BundleError
from daenr_export.specs import Array, BatchRange, GraphSpec

MAX_IMAGES = 64
"""More images would say no more about a graph, and make the bundle larger than its model."""

FEATURES = "encoder.features"


def key(graph: str, output: str) -> str:
    """Name of the reference of an output."""
    return f"{graph}.{output}"


@dataclass(frozen=True)
class Golden:
    """The arrays of a golden file.

    Attributes:
        arrays: by name.
        source: where they come from, for messages.
        remedy: what to do where one is missing or unusable.
    """

    arrays: Mapping[str, Array]
    source: str | Path = "golden file"
    remedy: str = "export the bundle again from its checkpoint"

    @property
    def images(self) -> Array:
        """The images `(N, 1, 32, 32)` in [-1, 1], whatever a graph takes of them.

        Raises:
            BundleError: there are none.
        """
        name = "image.scaled" if "image.scaled" in self.arrays else "image"
        return self._get(name, "float32", self.arrays.get(name, np.zeros(0)).shape[1:])

    def inputs(self, graph: GraphSpec) -> Array:
        """All inputs of a graph, `(N, *graph.input.shape)`.

        Raises:
            BundleError: they are missing or of another shape or dtype.
        """
        return self._get("image" if graph.input.name == "image" else FEATURES, graph.input.dtype, graph.input.shape)

    def references(self, graph: GraphSpec) -> dict[str, Array]:
        """What the graph must answer, by output, each `(N, *output.shape)`.

        Raises:
            BundleError: an output has no reference, or one of another shape or dtype.
        """
        return {
            output.name: self._get(key(graph.name, output.name), output.dtype, output.shape) for output in graph.outputs
        }

    def _get(self, name: str, dtype: str, shape: tuple[int, ...]) -> Array:
        array = self.arrays.get(name)
        if array is None or not len(array):
            raise BundleError(self.source, f"holds no {name}", self.remedy)
        if str(array.dtype) != dtype or array.shape[1:] != shape:
            expected = f"{dtype} ({', '.join(['N', *map(str, shape)])})"
            problem = f"holds {name} as {array.dtype} {array.shape}, and the manifest says {expected}"
            raise BundleError(self.source, problem, self.remedy)
        # A comparison with NaN is false, so an answer could neither pass nor fail.
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise BundleError(self.source, f"holds NaN or infinity in {name}", self.remedy)
        return array


def batch_sizes(batch: BatchRange) -> tuple[int, ...]:
    """Sizes that a graph is checked at: the smallest three, the one it is tuned for, and the largest."""
    sizes = {batch.min, batch.min + 1, batch.min + 2, batch.opt, batch.max}
    return tuple(sorted(size for size in sizes if size <= batch.max))


def in_batches(inputs: Array, size: int) -> Iterator[Array]:
    """All inputs in batches of exactly `size`; the last is filled up with inputs from the start."""
    for first in range(0, len(inputs), size):
        yield np.ascontiguousarray(inputs[np.arange(first, first + size) % len(inputs)])
