"""The gate before a graph: what passes has the right type, shape, batch size and range."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from daenr_common.errors import ImageError
from daenr_export.specs import Array, GraphSpec

RANGE_TOLERANCE = 1e-4
"""By how much a pixel may leave [-1, 1]: more than rounding, less than a forgotten scale."""


@final
class Gate:
    """Checks batches against a graph's input, in 2 µs at batch 1. Built once for a graph, called for each frame.

    Args:
        spec: the graph.
        batch: the one size that passes; None for all that the graph takes.
    """

    def __init__(self, spec: GraphSpec, batch: int | None = None) -> None:
        self._spec = spec
        self._dtype = spec.input.numpy_dtype
        self._shape = spec.input.shape
        self._only = batch
        self._min, self._max = (spec.batch.min, spec.batch.max) if batch is None else (batch, batch)
        self._bound = _bound(spec.input.name, self._dtype)

    def __call__(self, batch: Array) -> Array:
        """Return the batch, C-contiguous, if it may go into the graph. Raises as `check` does."""
        batch = self.check(batch)
        flags = batch.flags
        return batch if flags.c_contiguous and flags.aligned else batch.copy(order="C")

    def check(self, batch: Array) -> Array:
        """Return the batch, in whatever layout it came, if it may go into the graph.

        Raises:
            ImageError: it may not; the message says what was expected, what came, and how to mend it.
        """
        if type(batch) is not np.ndarray:
            batch = self._plain(batch)
        shape = batch.shape
        if batch.dtype != self._dtype:
            raise self._refused(f"is {batch.dtype}, expected {self._dtype}", self._how_to_convert(batch))
        if not shape or shape[1:] != self._shape:
            expected = ", ".join(str(size) for size in self._shape)
            raise self._refused(f"has the shape {shape}, expected (B, {expected})", _how_to_reshape(shape, self._shape))
        if not self._min <= shape[0] <= self._max:
            raise self._wrong_size(shape[0])
        # A NaN is what argmax finds first, and it compares as false. No other look at an array takes so little time.
        if (bound := self._bound) is not None and not (
            batch.item(batch.argmax()) <= bound and batch.item(batch.argmin()) >= -bound
        ):
            raise self._out_of_range(batch)
        return batch

    def _plain(self, batch: Any) -> Array:
        if isinstance(batch, np.ndarray) and not isinstance(batch, np.ma.MaskedArray):
            return np.asarray(batch)
        kind = f"{type(batch).__module__}.{type(batch).__name__}"
        raise self._refused(f"is a {kind}, expected a numpy.ndarray", "convert it to a plain array")

    def _refused(self, problem: str, remedy: str) -> ImageError:
        return ImageError(f"{self._spec.input.name} for the graph {self._spec.name}", problem, remedy)

    def _wrong_size(self, size: int) -> ImageError:
        if self._only is not None:
            problem = f"is a batch of {size}, and this session was opened for {self._only}"
            return self._refused(problem, f"give batches of {self._only}, or open it with batch={size}")
        problem = f"is a batch of {size}, and the bundle was made for {self._min} to {self._max}"
        return self._refused(problem, "split it, or export the bundle with another batch range")

    def _how_to_convert(self, batch: Array) -> str:
        if self._dtype == np.uint8:
            return "give the pixels 0…255 as uint8, this bundle scales them itself"
        if batch.dtype.kind in "iu" and self._spec.input.name == "image":
            return "scale the pixels to [-1, 1]: (image / 127.5 - 1).astype('float32')"
        return f"convert it: .astype('{self._dtype}')"

    def _out_of_range(self, batch: Array) -> ImageError:
        bad = np.count_nonzero(~np.isfinite(batch))
        if bad:
            return self._refused(f"holds {bad} values that are NaN or infinite", "check where the frame comes from")
        low, high = float(batch.min()), float(batch.max())
        return self._refused(
            f"goes from {low:.4g} to {high:.4g}, expected values in [-1, 1]",
            "scale it: pixels of 0…255 become image / 127.5 - 1, values of 0…1 become image * 2 - 1",
        )


def _bound(name: str, dtype: np.dtype[Any]) -> float | None:
    """The largest absolute value that may pass; None where every value of the type may."""
    if dtype.kind != "f":
        return None
    return 1 + RANGE_TOLERANCE if name == "image" else float(np.finfo(dtype).max)


def _how_to_reshape(shape: tuple[int, ...], expected: tuple[int, ...]) -> str:
    if shape == expected:
        return "add the batch axis: image[numpy.newaxis]"
    if shape == expected[1:]:
        return "add the batch and the channel axis: image[numpy.newaxis, numpy.newaxis]"
    if len(shape) == len(expected) and shape[1:] == expected[1:]:
        return "add the channel axis: images[:, numpy.newaxis]"
    if len(expected) == 3 and shape[1:] == (*expected[1:], expected[0]):
        return "put the channel axis second: numpy.moveaxis(images, -1, 1)"
    return "resize it to what the model was trained on"
