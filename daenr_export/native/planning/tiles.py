"""Which tile of output pixels and channels stays in registers: for each layer and instruction set, by a model of cost.

The model knows what bounds a step of a tile: multiply-adds (two vectors a cycle), loads (two a cycle), and the latency
of a sum that waits for itself (four cycles). It need not be exact; it ranks the few tiles that fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from daenr_export.native.planning.layers import Grid, Storage
from daenr_export.native.targets import InstructionSet

LATENCY = 4.0
MOST_FIXED_TAPS = 36
MOST_FIXED_PIXELS = 64


@dataclass(frozen=True)
class Tile:
    """Rows by columns of pixels, by vectors of output channels."""

    rows: int
    columns: int
    vectors: int

    @property
    def pixels(self) -> int:
        """Pixels in the tile."""
        return self.rows * self.columns


def step_cost(pixels: int, vectors: int, machine: InstructionSet) -> float:
    """Cycles for one input channel of a tile."""
    arithmetic = pixels * vectors / 2 * (1 if machine.fused else 2)
    loads = (pixels + vectors) / 2
    return max(arithmetic, loads, LATENCY if pixels else 0)


def fits(pixels: int, vectors: int, machine: InstructionSet) -> bool:
    """Whether sums, weights and one input stay in registers."""
    temporaries = vectors if vectors > 1 else 1
    return pixels * vectors + temporaries + (1 if machine.fused else 2) <= machine.registers


@lru_cache(maxsize=4096)
def rectangle_tile(height: int, width: int, block_vectors: int, machine: InstructionSet) -> Tile:
    """The tile for a rectangle of pixels that all have the same taps."""
    return min(
        _candidates(height, width, block_vectors, machine),
        key=lambda tile: (rectangle_cost(height, width, block_vectors, tile, machine), -tile.pixels, tile.rows),
    )


def rectangle_cost(height: int, width: int, block_vectors: int, tile: Tile, machine: InstructionSet) -> float:
    """Cycles for one input channel and tap of a rectangle, cut into tiles."""
    pieces = product(_cut(height, tile.rows), _cut(width, tile.columns))
    cost = sum(
        down * across * step_cost(rows * columns, tile.vectors, machine) for (down, rows), (across, columns) in pieces
    )
    return cost * block_vectors / tile.vectors


def _cut(extent: int, size: int) -> list[tuple[int, int]]:
    """How many tiles of which size: whole ones, and one of what is left."""
    return [(n, s) for n, s in ((extent // size, size), (1, extent % size)) if n and s]


def _candidates(height: int, width: int, block_vectors: int, machine: InstructionSet) -> Iterator[Tile]:
    for rows, columns, vectors in product(
        range(1, min(height, 8) + 1), range(1, min(width, 16) + 1), range(1, block_vectors + 1)
    ):
        if block_vectors % vectors == 0 and fits(rows * columns, vectors, machine):
            yield Tile(rows, columns, vectors)


@dataclass(frozen=True)
class Rectangle:
    """Pixels of a grid from `(top, left)` on that all have the same taps, those from `first` up to `last`."""

    top: int
    left: int
    height: int
    width: int
    first: tuple[int, int]
    last: tuple[int, int]


def rectangles(grid: Grid, source: Storage) -> list[Rectangle]:
    """The grid cut so that in each part the same taps lie inside of the input."""
    rows, columns = (_runs(grid, axis, extent) for axis, extent in enumerate((source.height, source.width)))
    return [
        Rectangle(top, left, height, width, (y[0], x[0]), (y[1], x[1]))
        for (top, height, y), (left, width, x) in product(rows, columns)
    ]


def _runs(grid: Grid, axis: int, extent: int) -> list[tuple[int, int, tuple[int, int]]]:
    runs: list[tuple[int, int, tuple[int, int]]] = []
    for position in range(grid.size[axis]):
        taps = grid.valid(axis, position, extent)
        if runs and runs[-1][2] == taps:
            first, length, _ = runs[-1]
            runs[-1] = (first, length + 1, taps)
        else:
            runs.append((position, 1, taps))
    return runs


def split(rectangle: Rectangle, tile: Tile) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Top, left, tiles down and across, rows and columns of a tile: up to four parts, with whole tiles and the rest."""
    top = rectangle.top
    for down, rows in _cut(rectangle.height, tile.rows):
        left = rectangle.left
        for across, columns in _cut(rectangle.width, tile.columns):
            yield top, left, down, across, rows, columns
            left += across * columns
        top += down * rows


def inner_cost(grid: Grid, source: Storage, block_vectors: int, machine: InstructionSet) -> float:
    """Cycles for one block of a grid, rectangle by rectangle."""
    total = 0.0
    for part in rectangles(grid, source):
        taps = (part.last[0] - part.first[0]) * (part.last[1] - part.first[1])
        tile = rectangle_tile(part.height, part.width, block_vectors, machine)
        total += taps * rectangle_cost(part.height, part.width, block_vectors, tile, machine)
    return total * source.channels


def fixed_tile(grid: Grid, source: Storage, block_vectors: int, machine: InstructionSet) -> tuple[float, Tile] | None:
    """Cost and tile where each tile of a small grid is compiled for its place; None where that would be too much."""
    taps = grid.weight.shape[0] * grid.weight.shape[1]
    if not 0 < taps <= MOST_FIXED_TAPS or grid.size[0] * grid.size[1] > MOST_FIXED_PIXELS or source.channels < 8:
        return None
    found = [
        (_fixed_cost(grid, source, block_vectors, tile, machine), tile)
        for tile in _candidates(*grid.size, block_vectors, machine)
        if (-(-grid.size[0] // tile.rows)) * (-(-grid.size[1] // tile.columns)) <= 8
    ]
    return min(found, key=lambda item: (item[0], -item[1].pixels, item[1].rows), default=None)


def _fixed_cost(grid: Grid, source: Storage, block_vectors: int, tile: Tile, machine: InstructionSet) -> float:
    total = 0.0
    for top, left in product(range(0, grid.size[0], tile.rows), range(0, grid.size[1], tile.columns)):
        rows = _taps_met(grid, 0, top, min(tile.rows, grid.size[0] - top), source.height)
        columns = _taps_met(grid, 1, left, min(tile.columns, grid.size[1] - left), source.width)
        total += sum(step_cost(a * b, tile.vectors, machine) for a, b in product(rows, columns) if a * b)
    return total * source.channels * block_vectors / tile.vectors


def _taps_met(grid: Grid, axis: int, start: int, count: int, extent: int) -> list[int]:
    """For each tap, how many of the positions have it inside of the input."""
    spans = [grid.valid(axis, position, extent) for position in range(start, start + count)]
    return [sum(a <= tap < b for a, b in spans) for tap in range(grid.weight.shape[axis])]


def across_tile(images: int, block_vectors: int, machine: InstructionSet) -> tuple[int, int]:
    """Images and vectors of a tile, for a group of images."""
    found = [
        (step_cost(tile, vectors, machine) / (tile * vectors), -tile, tile, vectors)
        for tile in range(1, images + 1)
        for vectors in range(1, block_vectors + 1)
        if images % tile == 0 and block_vectors % vectors == 0 and fits(tile, vectors, machine)
    ]
    _, _, tile, vectors = min(found)
    return tile, vectors
