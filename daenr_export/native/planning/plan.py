"""Where everything lies: how each value is stored, and at which place of the caller's state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daenr_export.native.planning.fusing import Fused, fuse
from daenr_export.native.planning.layers import ALIGNMENT, Layer, Storage, make_layer, padded, storage_of
from daenr_export.native.planning.spread import Spread, make_spread, suits_spread
from daenr_export.native.reading.operations import Convolution, Dense, Network, Pixels, TransposedConvolution

GROUP = 8
"""Images that go through the network together where a batch has as many: each weight is then loaded once for all."""

Step = Fused | Layer | Spread
"""Convolutions in the form of their kernels, other operations as they are."""

CONVOLUTIONS = (Convolution, TransposedConvolution, Dense)


@dataclass(frozen=True)
class Plan:
    """A network with its values placed.

    Attributes:
        network: as read.
        steps: in order: each finds its input computed.
        storages: how each value lies in memory.
        offsets: where the values of a group lie in the arena, in floats; a direct input has none, it is read where the
            caller has it.
        direct: whether the input's layout is that of the kernels already.
        images: in a group; 1 where a batch never has `GROUP`.
        arena: floats of the arena.
    """

    network: Network
    steps: tuple[Step, ...]
    storages: dict[str, Storage]
    offsets: dict[str, int]
    direct: bool
    images: int
    arena: int


def make_plan(network: Network, max_batch: int) -> Plan:
    """Fuse a network, choose the layouts and place its values."""
    fused = fuse(network)
    storages = {name: storage_of(shape) for name, shape in network.shapes.items()}
    entry = network.input
    direct = entry.dtype == "float32" and _is_direct(entry.name, entry.shape, fused)
    if direct:
        shape = entry.shape if len(entry.shape) == 3 else (entry.shape[0], 1, 1)
        storages[entry.name] = Storage(shape[1], shape[2], shape[0], shape[0], int(np.prod(shape)))
    storages |= {item.operation.output: tight for item in fused if (tight := _tight(item, fused, network))}
    steps = tuple(_step(item, network, storages[item.operation.input]) for item in fused)
    storages |= {step.output: step.target for step in steps if isinstance(step, Spread)}
    images = GROUP if max_batch >= GROUP else 1
    offsets, arena = _place(network, steps, storages, images, direct)
    return Plan(network, steps, storages, offsets, direct, images, arena)


def _step(fused: Fused, network: Network, source: Storage) -> Step:
    if suits_spread(fused, network):
        return make_spread(fused, network, source)
    return make_layer(fused, network, source) if isinstance(fused.operation, CONVOLUTIONS) else fused


def source_of(step: Step) -> str:
    """Name of the value that goes into a step."""
    return step.operation.input if isinstance(step, Fused) else step.input


def result_of(step: Step) -> str:
    """Name of the value that comes out of a step."""
    return step.operation.output if isinstance(step, Fused) else step.output


def weights_of(step: Step) -> int:
    """Floats of the weights that a step multiplies with; the few of a readout do not count."""
    layer = step.products if isinstance(step, Spread) else step
    return sum(grid.weight.size for grid in layer.grids) if isinstance(layer, Layer) else 0


def _is_direct(name: str, shape: tuple[int, ...], fused: tuple[Fused, ...]) -> bool:
    """Whether an input can be read where it is: one channel, or one pixel, and only by what reads float by float."""
    users = [item.operation for item in fused if item.operation.input == name]
    is_plain = len(shape) == 1 or shape[0] == 1 or shape[1:] == (1, 1)
    return is_plain and all(isinstance(user, CONVOLUTIONS) for user in users)


def _tight(item: Fused, fused: tuple[Fused, ...], network: Network) -> Storage | None:
    """How a scaled image lies in memory where only convolutions read it, float by float: without padding."""
    name = item.operation.output
    users = [other.operation for other in fused if other.operation.input == name]
    outputs = [spec.name for spec in network.outputs]
    if not isinstance(item.operation, Pixels) or name in outputs or not all(isinstance(u, CONVOLUTIONS) for u in users):
        return None
    channels, height, width = network.shapes[name]
    return Storage(height, width, channels, channels, padded(height * width * channels) + ALIGNMENT)


def image_floats(network: Network, storages: dict[str, Storage], name: str) -> int:
    """Floats from one image's share of a value to the next: codes are int64 and take two floats each."""
    shape = network.shapes[name]
    return padded(2 * shape[0] * shape[1]) if len(shape) == 2 else storages[name].image


def _place(
    network: Network, steps: tuple[Step, ...], storages: dict[str, Storage], images: int, direct: bool
) -> tuple[dict[str, int], int]:
    """Each value in the first gap free while it lives: from the step that makes it to the last that reads it."""
    made = {result_of(step): index for index, step in enumerate(steps)}
    if not direct:
        made[network.input.name] = -1
    last = dict.fromkeys(made, -1) | {source_of(step): index for index, step in enumerate(steps)}
    last |= {spec.name: len(steps) for spec in network.outputs if spec.name in made}
    placed: dict[str, tuple[int, int]] = {}
    for name in sorted(made, key=lambda n: made[n]):
        size = images * image_floats(network, storages, name)
        busy = sorted(span for other, span in placed.items() if made[other] <= last[name] and last[other] >= made[name])
        start = 0
        for begin, end in busy:
            if start + size <= begin:
                break
            start = max(start, end)
        placed[name] = (start, start + size)
    return {name: start for name, (start, _) in placed.items()}, max((end for _, end in placed.values()), default=0)
