"""The C of what is no convolution: readouts, codes, and moving numbers between layouts."""

from __future__ import annotations

import numpy as np

from daenr_export.native.planning.fusing import Fused
from daenr_export.native.planning.layers import padded
from daenr_export.native.planning.plan import Plan
from daenr_export.native.reading.operations import Activate, Fold, Lookup, Nearest, Pixels, Readout, Standardise
from daenr_export.native.writing.writer import StepCode, Writer, number
from daenr_export.specs import Array

WORTH_SKIPPING = 0.75
"""Masks are taken place by place where what is left after skipping zeros is less than this share of them."""


def write_other(fused: Fused, plan: Plan, writer: Writer) -> StepCode:
    """The function of a step that is no convolution."""
    operation = fused.operation
    shape = plan.network.shapes[operation.input]
    source, target = plan.storages[operation.input], plan.storages[operation.output]
    pixels = source.height * source.width
    floats = "const float *restrict in, float *restrict out"
    if isinstance(operation, Readout):
        return _readout(fused, operation, plan, writer)
    if isinstance(operation, Activate):
        body = f"activate_all({source.floats}, {operation.kind.upper()}, in, out);"
        return StepCode(writer.function("activate", floats, body))
    if isinstance(operation, Fold) and len(shape) == 3:
        body = f"channels_first({source.channels}, {pixels}, {source.pixel}, in, out);"
        return StepCode(writer.function("fold", floats, body))
    if isinstance(operation, Fold):
        body = f"channels_last({target.channels}, {target.height * target.width}, {target.pixel}, in, out);"
        return StepCode(writer.function("fold", floats, body))
    if isinstance(operation, Nearest):
        body = f"nearest({source.channels}, {pixels}, {source.pixel}, in, out);"
        return StepCode(writer.function("nearest", "const float *restrict in, int64_t *restrict out", body))
    if isinstance(operation, Lookup):
        table = np.pad(operation.table, ((0, 0), (0, target.pixel - operation.table.shape[1])))
        start = writer.constants.add(table)
        body = f"look_up({target.pixel}, {target.height * target.width}, weights_at({start}), in, out);"
        return StepCode(writer.function("look_up", "const int64_t *restrict in, float *restrict out", body))
    if isinstance(operation, Standardise):
        means, scales = (writer.constants.add(array) for array in (operation.mean, operation.scale))
        sizes = f"{target.channels}, {pixels}, {source.pixel}, {target.pixel}"
        body = f"standardise({sizes}, weights_at({means}), weights_at({scales}), in, out);"
        return StepCode(writer.function("standardise", floats, body))
    assert isinstance(operation, Pixels)
    scale, offset = number(operation.scale), number(operation.offset)
    body = (
        f"scale_pixels({target.channels}, {target.height * target.width}, {target.pixel}, {scale}, {offset}, in, out);"
    )
    return StepCode(writer.function("pixels", "const uint8_t *restrict in, float *restrict out", body))


def _readout(fused: Fused, operation: Readout, plan: Plan, writer: Writer) -> StepCode:
    """Neurons a few at a time; those that are left over in a tile of their own."""
    source, constants = plan.storages[operation.input], writer.constants
    channels, count = source.pixel, operation.masks.shape[1]
    neurons, vectors = readout_tile(channels, writer)
    features = constants.add(np.pad(operation.features.T, ((0, 0), (0, channels - source.channels))))
    places: list[Array] = []
    masks: list[Array] = []
    skipped = 0
    for first in range(0, count, neurons):
        mine = operation.masks[:, first : first + neurons]
        used = np.flatnonzero(mine.any(axis=1))
        if len(used) > WORTH_SKIPPING * len(mine):
            used = np.arange(len(mine))
        skipped += len(mine) - len(used)
        places.append(used.astype(np.int32) * source.pixel)
        masks.append(mine[used])
    bias = constants.add(np.pad(operation.bias, (0, padded(count) - count)))
    tables = [(constants.add(used), constants.add(mask)) for used, mask in zip(places, masks, strict=True)]
    end = max(at + mask.size for (_, at), mask in zip(tables, masks, strict=True))
    lines = []
    nan = "0"
    if skipped:
        lines.append(f"float nan[{channels}] __attribute__((aligned(64)));")
        lines.append(f"nan_of_channels({source.height * source.width}, {source.pixel}, {channels}, in, nan);")
        nan = "nan"
    for index, (used, mask) in enumerate(zip(places, masks, strict=True)):
        size = mask.shape[1]
        start = "nan" if skipped else "0"
        steps = len(used) * (channels // (vectors * writer.machine.lanes))
        ahead, asked = writer.ahead.take(end, steps, 1) if steps else (end, 0)
        body = (
            f"(void)nan;\nfew_neurons({size}, {vectors}, {channels}, count, in, {start}, places, masks, features, out, "
            f"ahead, {asked});"
        )
        parameters = (
            "const float *restrict in, const float *nan, int count, const int32_t *places, const float *masks, "
            "const float *features, float *restrict out, const float *ahead"
        )
        name = writer.function("neurons", parameters, body)
        at, mask_at = tables[index]
        lines.append(
            f"{name}(in, {nan}, {len(used)}, (const int32_t *)weights_at({at}), weights_at({mask_at}), "
            f"weights_at({features + index * neurons * channels}), out + {index * neurons}, weights_at({ahead}));"
        )
    rest = padded(count) - count
    if rest:
        lines.append(f"for (int n = {count}; n < {padded(count)}; n++)\n    out[n] = 0;")
    lines.append(f"add_bias({padded(count)}, weights_at({bias}), out, {fused.activation.upper()});")
    title = f"{count} neurons of {source.height}×{source.width} places, {source.channels} channels"
    return StepCode(
        writer.function("readout", "const float *restrict in, float *restrict out", "\n".join(lines), title)
    )


def readout_tile(channels: int, writer: Writer) -> tuple[int, int]:
    """Neurons and vectors of channels that stay in registers."""
    machine = writer.machine
    vectors = next(v for v in (4, 3, 2, 1) if channels % (v * machine.lanes) == 0)
    if machine.registers < 32:
        vectors = next(v for v in (2, 1) if channels % (v * machine.lanes) == 0)
    return max(1, min(16, (16 if machine.registers >= 32 else 8) // vectors)), vectors
