"""The C of a convolution: which tiles, in which order, with which constants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product

from daenr_export.native.planning import tiles
from daenr_export.native.planning.layers import Grid, Layer
from daenr_export.native.writing.packing import block_widths, pack
from daenr_export.native.writing.winograd import suits, write_winograd
from daenr_export.native.writing.writer import StepCode, Writer

WIDE_BLOCK, BLOCK = 64, 32
"""Output channels in a block of weights: a map of few pixels streams through its weights, and wants long rows."""

FEW_PIXELS = 4

FEW_WEIGHTS, ASKED = 4096, 48
"""A layer with so few weights asks with each tile for so many lines of those that come next."""

IN_OUT = "const float *restrict in, float *restrict out"
PIECE = "const float *restrict in, const float *restrict w, const float *restrict bias, float *restrict out"


@dataclass(frozen=True)
class _Block:
    """Equal blocks of the output channels of a grid: how many, how wide, and where their weights begin."""

    count: int
    width: int
    weights: int
    first: int


def write_convolution(layer: Layer, writer: Writer, images: int) -> StepCode:
    """The functions of a layer.

    Args:
        layer: what to compute.
        writer: of the instruction set.
        images: that a group takes at once; 1 where it takes them one by one.
    """
    if suits(layer):
        return write_winograd(layer, writer, images)
    name = one_image(layer, writer)
    if images == 1:
        return StepCode(name)
    text = _all_blocks(layer, writer, partial(_across_images, images=images))
    return StepCode(name, writer.function("group", IN_OUT, text, f"{layer.title}, {images} images"))


def one_image(layer: Layer, writer: Writer) -> str:
    """The function that computes a layer of one image."""
    return writer.function("layer", IN_OUT, _all_blocks(layer, writer, _one_image), layer.title)


def _all_blocks(layer: Layer, writer: Writer, one_block: Callable[[Layer, Grid, _Block, Writer], str]) -> str:
    """The text of all blocks of output channels of all grids."""
    bias, lines = writer.constants.add(layer.bias), []
    for grid in layer.grids:
        width = WIDE_BLOCK if grid.size[0] * grid.size[1] <= FEW_PIXELS else BLOCK
        start = pack(writer.constants, grid, width)
        for block in _blocks(grid, width, start):
            lines.append(_over_blocks(grid, layer, block, bias, one_block(layer, grid, block, writer)))
    return "\n".join(lines)


def _blocks(grid: Grid, width: int, start: int) -> list[_Block]:
    taps = grid.weight.shape[0] * grid.weight.shape[1] * grid.weight.shape[2]
    widths = block_widths(grid.weight.shape[-1], width)
    whole = widths.count(width)
    found = [_Block(whole, width, start, 0)] if whole else []
    if len(widths) > whole:
        found.append(_Block(1, widths[-1], start + whole * width * taps, whole * width))
    return found


def _over_blocks(grid: Grid, layer: Layer, block: _Block, bias: int, text: str) -> str:
    """A loop over equal blocks around the text that computes one, with `w`, `b` and `to` set."""
    size = grid.weight[..., 0].size * block.width
    origin = grid.origin[0] * layer.target.row + grid.origin[1] * layer.target.pixel + block.first
    body = "\n".join(f"    {line}" for line in text.splitlines())
    return (
        f"for (int i = 0; i < {block.count}; i++) {{\n"
        f"    const float *w = weights_at({block.weights}) + (size_t)i * {size};\n"
        f"    const float *b = weights_at({bias + block.first}) + i * {block.width};\n"
        f"    float *to = out + {origin} + i * {block.width};\n"
        f"{body}\n}}"
    )


def shape_of(layer: Layer, grid: Grid, block: int, taps: tuple[int, int] | None = None, pad: bool = True) -> str:
    """The constants of a convolution as a C literal."""
    source, target = layer.source, layer.target
    taps_y, taps_x = taps or grid.weight.shape[:2]
    pad_y, pad_x = grid.pad if pad else (0, 0)
    height, width = (source.height, source.width) if pad else (0, 0)
    values = (
        f".in_height = {height}, .in_width = {width}, .in_row = {source.row}, .in_pixel = {source.pixel}, "
        f".channels = {source.channels}, .stride_y = {grid.stride[0]}, .stride_x = {grid.stride[1]}, "
        f".pad_y = {pad_y}, .pad_x = {pad_x}, .taps_y = {taps_y}, .taps_x = {taps_x}, "
        f".terms = {grid.weight[..., 0].size}, "
        f".out_row = {target.row * grid.step[0]}, .out_pixel = {target.pixel * grid.step[1]}, "
        f".block = {block}, .kind = {layer.activation.upper()}"
    )
    return f"(convolution){{{values}}}"


def _one_image(layer: Layer, grid: Grid, block: _Block, writer: Writer) -> str:
    """One image: tiles for their place in a small map, rectangles of equal tiles in a large one."""
    vectors = block.width // writer.machine.lanes
    inner = tiles.inner_cost(grid, layer.source, vectors, writer.machine)
    fixed = tiles.fixed_tile(grid, layer.source, vectors, writer.machine)
    if fixed is not None and fixed[0] < inner:
        return _fixed(layer, grid, block, fixed[1], writer)
    return _rectangles(layer, grid, block, writer)


def _fixed(layer: Layer, grid: Grid, block: _Block, tile: tiles.Tile, writer: Writer) -> str:
    lines = []
    for top, left in product(range(0, grid.size[0], tile.rows), range(0, grid.size[1], tile.columns)):
        rows, columns = min(tile.rows, grid.size[0] - top), min(tile.columns, grid.size[1] - left)
        call = f"fixed_tile({shape_of(layer, grid, block.width)}, {top}, {left}, {rows}, {columns}, {tile.vectors}, "
        width = tile.vectors * writer.machine.lanes
        body = f"for (int v = 0; v < {block.width}; v += {width})\n    {call}in, w + v, bias + v, out + v);"
        lines.append(f"{writer.function('tile', PIECE, body)}(in, w, b, to);")
    return "\n".join(lines)


def _rectangles(layer: Layer, grid: Grid, block: _Block, writer: Writer) -> str:
    source, vectors = layer.source, block.width // writer.machine.lanes
    end = block.weights + block.count * block.width * grid.weight[..., 0].size
    few_weights = end - block.weights <= FEW_WEIGHTS
    tap_row = grid.weight.shape[1] * source.channels * block.width
    lines = []
    for part in tiles.rectangles(grid, source):
        taps = (part.last[0] - part.first[0], part.last[1] - part.first[1])
        tile = tiles.rectangle_tile(part.height, part.width, vectors, writer.machine)
        for top, left, down, across, rows, columns in tiles.split(part, tile):
            y = top * grid.stride[0] + part.first[0] - grid.pad[0]
            x = left * grid.stride[1] + part.first[1] - grid.pad[1]
            begin = y * source.row + x * source.pixel if taps[0] and taps[1] else 0
            tap = (part.first[0] * grid.weight.shape[1] + part.first[1]) * source.channels * block.width
            place = top * layer.target.row * grid.step[0] + left * layer.target.pixel * grid.step[1]
            count = down * across * vectors // tile.vectors
            ahead, asked = writer.ahead.take(end, count, ASKED) if few_weights else (end, 0)
            body = (
                f"inner_tiles({shape_of(layer, grid, block.width, taps, pad=False)}, {tap_row}, "
                f"{down}, {across}, {rows}, {columns}, {tile.vectors}, in, w, bias, out, ahead, {asked});"
            )
            name = writer.function("tiles", f"{PIECE}, const float *ahead", body)
            first = tap if taps[0] and taps[1] else 0
            lines.append(f"{name}(in + {begin}, w + {first}, b, to + {place}, weights_at({ahead}));")
    return "\n".join(lines)


def _across_images(layer: Layer, grid: Grid, block: _Block, writer: Writer, images: int) -> str:
    """A group of images."""
    tile, vectors = tiles.across_tile(images, block.width // writer.machine.lanes, writer.machine)
    return (
        f"across_images({shape_of(layer, grid, block.width)},\n"
        f"    {grid.size[0]}, {grid.size[1]}, {images}, {tile}, {vectors}, {layer.source.image}, "
        f"{layer.target.image}, in, w, b, to);"
    )
