"""What a graph takes and gives: the words that a bundle, the builder of engines and the runtime share."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
else:  # a rig that starts need not wait for what only type checkers read
    Array = np.ndarray


class TensorSpec(NamedTuple):
    """A named tensor of a graph: its dtype and its shape without the batch axis, which always comes first."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype as numpy's."""
        return np.dtype(self.dtype)

    def bytes_at(self, batch: int) -> int:
        """Size in bytes of a batch of this tensor."""
        return batch * int(np.prod(self.shape, dtype=np.int64)) * self.numpy_dtype.itemsize


class BatchRange(NamedTuple):
    """The batch sizes that a graph's engines accept, and the one they are tuned for."""

    min: int
    opt: int
    max: int


class GraphSpec(NamedTuple):
    """What goes into a graph and what comes out: one input, one to three outputs, a dynamic batch axis."""

    name: str
    input: TensorSpec
    outputs: tuple[TensorSpec, ...]
    batch: BatchRange
