"""The constants of a library: one run of bytes for all instruction sets, each part aligned for the widest vectors."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from daenr_common.hashing import sha256_of
from daenr_export.native.planning.layers import ALIGNMENT, Grid
from daenr_export.specs import Array


@dataclass
class Constants:
    """Weights and tables in the order in which they were added; equal ones are kept once."""

    _parts: list[bytes] = field(default_factory=list)
    _offsets: dict[str, int] = field(default_factory=dict)
    _floats: int = 0

    def add(self, array: Array) -> int:
        """Keep an array of float32 or int32 and answer its offset, in floats."""
        content = np.ascontiguousarray(array).tobytes()
        assert array.dtype.itemsize == 4
        key = sha256_of(content)
        if key not in self._offsets:
            self._offsets[key] = self._floats
            self._parts.append(content + bytes(-len(content) % (4 * ALIGNMENT)))
            self._floats += len(self._parts[-1]) // 4
        return self._offsets[key]

    def content(self) -> bytes:
        """All of it; at least one vector, so that it has an address."""
        return b"".join(self._parts) or bytes(4 * ALIGNMENT)


def block_widths(outputs: int, width: int) -> list[int]:
    """Widths of the blocks that padded output channels are cut into: as many of `width` as fit, and the rest."""
    return [width] * (outputs // width) + ([outputs % width] if outputs % width else [])


def enumerate_blocks(outputs: int, width: int) -> list[tuple[int, int]]:
    """First channel and width of each block."""
    widths = block_widths(outputs, width)
    return list(zip(accumulate(widths, initial=0), widths, strict=False))


def pack(constants: Constants, grid: Grid, width: int) -> int:
    """Keep the weights of a grid as `[block][tap y][tap x][input channel][channel of the block]`; their offset."""
    outputs = grid.weight.shape[-1]
    blocks = [grid.weight[..., at : at + size].reshape(-1) for at, size in enumerate_blocks(outputs, width)]
    return constants.add(np.concatenate(blocks).astype(np.float32))
