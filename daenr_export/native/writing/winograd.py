"""The C of a convolution by Winograd's products: which layers it suits, and how its weights lie."""

from __future__ import annotations

import numpy as np

from daenr_export.native.planning.layers import ALIGNMENT, Grid, Layer
from daenr_export.native.targets import InstructionSet
from daenr_export.native.writing.packing import Constants, enumerate_blocks
from daenr_export.native.writing.writer import LINE, StepCode, Writer

BLOCK = 32
FEWEST_TILES = 4
MOST_TILES = 8
"""Tiles that go through the weights together."""

MOST_TERMS = 1024
"""Terms of a sum; the products are four times fewer, and their sums are not taken in parts."""

ASKED = 3
"""Lines of later weights that are asked for with each product: about as many as arrive in that time."""

LOADS_COST_MORE = 1.1
"""Than their number says: not all come from the nearest cache."""
IN_OUT = "const float *restrict in, float *restrict out, float *restrict scratch"


def suits(layer: Layer) -> bool:
    """Whether all of a layer can be computed so, and is large enough to gain by it."""
    source = layer.source
    whole_vectors = source.channels == source.pixel and source.channels % ALIGNMENT == 0
    return whole_vectors and all(_suits(grid) for grid in layer.grids)


def _suits(grid: Grid) -> bool:
    stride, taps, (height, width) = grid.stride, grid.weight.shape[:2], grid.size
    fits = (stride, taps) in (((1, 1), (2, 2)), ((2, 2), (4, 4)))
    is_short = grid.weight[..., 0].size <= MOST_TERMS
    return fits and is_short and height % 2 == width % 2 == 0 and height * width // 4 >= FEWEST_TILES


def write_winograd(layer: Layer, writer: Writer, images: int) -> StepCode:
    """The functions of a layer.

    Args:
        layer: one that `suits`.
        writer: of the instruction set.
        images: that a group takes at once; 1 where it takes them one by one.
    """
    scratch = 9 * MOST_TILES * (layer.grids[0].weight[..., 0].size + BLOCK)
    one = _function(layer, writer, 1)
    return StepCode(one, _function(layer, writer, images) if images > 1 else None, scratch)


def _function(layer: Layer, writer: Writer, images: int) -> str:
    """Name of the function for so many images.

    A few tiles are transformed and go through all weights before the next few: what they leave stays in the nearest
    cache, and the weights come from the next one.
    """
    source, target, constants = layer.source, layer.target, writer.constants
    bias, zeros = constants.add(layer.bias), constants.add(np.zeros(source.channels, np.float32))
    starts = [_pack(constants, grid) for grid in layer.grids]
    end = starts[-1] + layer.grids[-1].weight.size
    lines = []
    for grid, start in zip(layer.grids, starts, strict=True):
        tiles, products = grid.size[0] * grid.size[1] // 4, grid.stride[0] ** 2 * source.channels
        few, _ = _tile(tiles, BLOCK // writer.machine.lanes, writer.machine)
        first = grid.origin[0] * target.row + grid.origin[1] * target.pixel
        piece = f"transform_tiles({_shape(layer, grid, BLOCK)}, first, {few}, in, weights_at({zeros}), transformed);"
        lines.append(f"for (int first = 0; first < {tiles}; first += {few}) {{")
        lines.append(f"    {writer.function('patches', _PATCHES, piece)}(from, scratch, first);")
        for at, width in enumerate_blocks(target.pixel, BLOCK):
            _, vectors = _tile(tiles, width // writer.machine.lanes, writer.machine)
            steps = 3 * products * (tiles // few) * (width // writer.machine.lanes // vectors)
            ahead, asked = writer.ahead.take(end, steps, ASKED) if images == 1 else (end, 0)
            piece = (
                f"winograd_block({_shape(layer, grid, width)}, first, {few}, {vectors},\n"
                f"    transformed, products, w, bias, out, ahead, {asked});"
            )
            asked_each = steps // (tiles // few) * asked * LINE
            lines.append(
                f"    {writer.function('block', _BLOCK, piece)}(scratch, scratch + {9 * few * products}, "
                f"weights_at({start + 4 * products * at}), weights_at({bias + at}),\n"
                f"        to + {first + at}, weights_at({ahead}) + first / {few} * {asked_each}, first);"
            )
        lines.append("}")
    body = "\n".join(f"    {line}" for text in lines for line in text.splitlines())
    text = (
        f"for (int image = 0; image < {images}; image++) {{\n"
        f"    const float *from = in + (size_t)image * {source.image};\n"
        f"    float *to = out + (size_t)image * {target.image};\n{body}\n}}"
    )
    title = f"{layer.title}, Winograd{f', {images} images' if images > 1 else ''}"
    return writer.function("winograd", IN_OUT, text, title)


_PATCHES = "const float *restrict in, float *restrict transformed, int first"
_BLOCK = (
    "const float *restrict transformed, float *restrict products, const float *restrict w, "
    "const float *restrict bias, float *restrict out, const float *ahead, int first"
)


def _pack(constants: Constants, grid: Grid) -> int:
    """Keep the weights as `[block][tap y][part][input channel][tap x][channel of the block]`; their offset."""
    taps, (stride, _) = grid.weight, grid.stride
    channels, outputs = taps.shape[2:]
    # Tap t of part d is tap t · stride + d of the convolution.
    parts = taps.reshape(2, stride, 2, stride, channels, outputs).transpose(0, 1, 3, 4, 2, 5)
    flat = parts.reshape(2, stride * stride * channels, 2, outputs)
    blocks = [flat[..., at : at + width].reshape(-1) for at, width in enumerate_blocks(outputs, BLOCK)]
    return constants.add(np.concatenate(blocks).astype(np.float32))


def _tile(tiles: int, block_vectors: int, machine: InstructionSet) -> tuple[int, int]:
    """Tiles and vectors of output channels that stay in registers, three products each: those that cost least."""
    found = [
        (_cost(few, vectors, machine) / (few * vectors), -few, few, vectors)
        for few in range(1, min(tiles, MOST_TILES) + 1)
        for vectors in range(1, block_vectors + 1)
        if tiles % few == block_vectors % vectors == 0
        and 3 * few * vectors + 3 * vectors + (1 if machine.fused else 2) <= machine.registers
    ]
    _, _, few, vectors = min(found, default=(0, 0, 1, 1))
    return few, vectors


def _cost(few: int, vectors: int, machine: InstructionSet) -> float:
    """Cycles for one product of a tile, averaged over the rows: the middle one sums four taps, the others two."""
    arithmetic = 3 * few * vectors * (1 if machine.fused else 2) + 5 / 3 * vectors
    loads = 3 * few + 8 / 3 * vectors
    return max(arithmetic, loads * LOADS_COST_MORE) / 2


def _shape(layer: Layer, grid: Grid, width: int) -> str:
    source, target = layer.source, layer.target
    return (
        f"(winograd){{.in_height = {source.height}, .in_width = {source.width}, .in_row = {source.row}, "
        f".in_pixel = {source.pixel}, .channels = {source.channels}, .stride = {grid.stride[0]}, "
        f".pad_y = {grid.pad[0]}, .pad_x = {grid.pad[1]}, "
        f".tiles_y = {grid.size[0] // 2}, .tiles_x = {grid.size[1] // 2}, "
        f".out_row = {target.row * grid.step[0]}, .out_pixel = {target.pixel * grid.step[1]}, "
        f".block = {width}, .kind = {layer.activation.upper()}}}"
    )
