"""The C of convolutions and readouts as products of matrices of shorter numbers (`matrix.h`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daenr_export.native.planning.fusing import Fused
from daenr_export.native.planning.layers import Grid, Layer, Storage, padded
from daenr_export.native.reading.operations import Readout
from daenr_export.native.targets import BYTES, Shorter
from daenr_export.native.writing.convolution import shape_of
from daenr_export.native.writing.writer import StepCode, Writer
from daenr_export.specs import Array

ROW_OF_TILE, COLUMNS, ROWS, MOST_IMAGES = 64, 16, 32, 8
"""As in `matrix.h`: bytes of a row of a tile, columns of one, rows of the left matrix at a time, images of a group."""

SUMS = ROWS * ROWS
"""Floats of scratch for sums."""

IN_OUT = "const float *restrict in, float *restrict out, float *restrict scratch"


@dataclass(frozen=True)
class _Weights:
    """Where the right matrix of a grid lies, and what each of its columns is in multiples of."""

    matrix: int
    units: int
    bytes: int


def write_matrix(layer: Layer, writer: Writer, images: int, numbers: Shorter) -> StepCode:
    """The functions of a layer.

    Args:
        layer: one that `reads_vectors`.
        writer: of an instruction set that multiplies such numbers.
        images: that a group takes at once; 1 where it takes them one by one.
        numbers: that are multiplied.
    """
    assert images <= MOST_IMAGES
    bias = writer.constants.add(layer.bias)
    weights = [_pack(grid, layer, numbers, writer) for grid in layer.grids]
    one = _function(layer, writer, weights, bias, 1, numbers)
    group = _function(layer, writer, weights, bias, images, numbers) if images > 1 else None
    shortened = images * layer.source.floats * BYTES[numbers] + ROW_OF_TILE
    return StepCode(one, group, scratch=SUMS + (shortened + ROWS * max(w.bytes for w in weights)) // 4)


def write_matrix_readout(fused: Fused, source: Storage, writer: Writer) -> StepCode:
    """The function of a factorized readout, whose masks and map are bfloat16.

    Args:
        fused: with a `Readout`.
        source: how its map lies in memory.
        writer: of an instruction set that multiplies bfloat16.
    """
    operation = fused.operation
    assert isinstance(operation, Readout)
    places, count = operation.masks.shape
    terms, neurons = -(-places // 32) * 32, padded(count)
    masks = to_bf16(np.pad(operation.masks.T, ((0, neurons - count), (0, terms - places))))
    features = np.pad(operation.features.T, ((0, neurons - count), (0, source.pixel - source.channels)))
    at = [writer.constants.add(array) for array in (masks.view(np.uint32), features)]
    bias = writer.constants.add(np.pad(operation.bias, (0, neurons - count)))
    body = (
        f"matrix_readout({neurons}, {places}, {source.pixel}, {source.pixel}, {terms}, in, weights_at({at[0]}), "
        f"weights_at({at[1]}), out, scratch);\n"
        f"add_bias({neurons}, weights_at({bias}), out, {fused.activation.upper()});"
    )
    title = f"{count} neurons of {places} places, {source.channels} channels, bf16"
    return StepCode(writer.function("readout", IN_OUT, body, title), scratch=SUMS + source.pixel * terms // 2)


def _function(layer: Layer, writer: Writer, weights: list[_Weights], bias: int, images: int, numbers: Shorter) -> str:
    lines = []
    for grid, at in zip(layer.grids, weights, strict=True):
        origin = grid.origin[0] * layer.target.row + grid.origin[1] * layer.target.pixel
        sizes = (
            f"(matrices){{.numbers = {numbers.upper()}, .height = {grid.size[0]}, .width = {grid.size[1]}, "
            f".images = {images}, .from_image = {layer.source.image}, .to_image = {layer.target.image}, "
            f".bytes = {at.bytes}}}"
        )
        lines.append(
            f"matrix_layer({shape_of(layer, grid, grid.weight.shape[-1])},\n    {sizes},\n"
            f"    in, weights_at({at.matrix}), weights_at({at.units}), weights_at({bias}), out + {origin}, scratch);"
        )
    title = f"{layer.title}, {numbers}{f', {images} images' if images > 1 else ''}"
    return writer.function("matrix", IN_OUT, "\n".join(lines), title)


def _pack(grid: Grid, layer: Layer, numbers: Shorter, writer: Writer) -> _Weights:
    """Keep the weights as `[16 columns][tile][terms by twos or fours][column][term]`, and each column's unit."""
    channels, outputs = grid.weight.shape[2:]
    pixel = layer.source.pixel
    matrix = np.pad(grid.weight, ((0, 0), (0, 0), (0, pixel - channels), (0, 0))).reshape(-1, outputs)
    units = np.abs(matrix).max(0, initial=0) / 127 if numbers == "int8" else np.ones(outputs)
    together = 4 // BYTES[numbers]
    terms = ROW_OF_TILE // BYTES[numbers]
    matrix = np.pad(matrix, ((0, -len(matrix) % terms), (0, 0)))
    short = to_bf16(matrix) if numbers == "bf16" else to_int8(matrix, units)
    tiles = short.reshape(-1, COLUMNS, together, outputs // COLUMNS, COLUMNS).transpose(3, 0, 1, 4, 2)
    packed = writer.constants.add(np.ascontiguousarray(tiles).view(np.uint32))
    return _Weights(packed, writer.constants.add(units.astype(np.float32)), len(matrix) * BYTES[numbers])


def to_bf16(array: Array) -> Array:
    """The upper halves of float32 numbers, rounded to the nearest and to even, as uint16."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    return ((bits + (0x7FFF + (bits >> 16 & 1))) >> 16).astype(np.uint16)


def to_int8(array: Array, units: Array) -> Array:
    """Multiples of each column's unit, rounded to the nearest."""
    return np.rint(array / np.where(units > 0, units, 1)).astype(np.int8)
