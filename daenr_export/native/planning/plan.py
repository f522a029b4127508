"""Where everything lies: how each value is stored, and at which place of the caller's state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from daenr_export.native.planning.arena import Life, Place, place_values
from daenr_export.native.planning.fusing import Fused, fuse
from daenr_export.native.planning.layers import ALIGNMENT, Layer, Storage, make_layer, padded, reads_vectors, storage_of
from daenr_export.native.planning.spread import Spread, make_spread, suits_spread
from daenr_export.native.reading.operations import (
    Convolution,
    Dense,
    Network,
    Pixels,
    Readout,
    Standardise,
    TransposedConvolution,
)
from daenr_export.native.targets import Shorter

GROUP = 8
"""Images that go through the network together where a batch has as many: each weight is then loaded once for all."""

Step = Fused | Layer | Spread
"""Convolutions in the form of their kernels, other operations as they are."""

MANY_WEIGHTS = 1 << 14
"""Floats of weights from which on a layer takes the images of a group at once."""

CONVOLUTIONS = (Convolution, TransposedConvolution, Dense)


@dataclass(frozen=True)
class Segment:
    """Steps that a group of images takes at once, step after step, or one by one, image after image."""

    together: bool
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Plan:
    """A network with its values placed.

    Attributes:
        network: as read.
        steps: in order: each finds its input computed.
        segments: the steps, in order, cut into those that a group takes image by image and those that it takes at once.
        storages: how each value lies in memory.
        places: where each value lies in the arena; a direct input has none.
        direct: whether the steps read the input where the caller has it: pixels, or a layout that is theirs already.
        images: in a group; 1 where a batch never has `GROUP`.
        arena: floats of the arena.
        shorter: what is multiplied for a value, by its name, where that is shorter than float32 and the instruction set
            multiplies such numbers.
    """

    network: Network
    segments: tuple[Segment, ...]
    storages: dict[str, Storage]
    places: dict[str, Place]
    direct: bool
    images: int
    arena: int
    shorter: Mapping[str, Shorter] = field(default_factory=dict)


def make_plan(network: Network, max_batch: int, shorter: Mapping[str, Shorter] | None = None) -> Plan:
    """Fuse a network, choose the layouts and place its values.

    Args:
        network: as read.
        max_batch: largest batch.
        shorter: what is multiplied for some of the values that `can_be_shorter`.
    """
    fused = fuse(network)
    storages = {name: storage_of(shape) for name, shape in network.shapes.items()}
    entry = network.input
    is_float = entry.dtype == "float32"
    direct = not is_float or _is_direct(entry.name, entry.shape, fused)
    if direct and is_float:
        shape = entry.shape if len(entry.shape) == 3 else (entry.shape[0], 1, 1)
        storages[entry.name] = Storage(shape[1], shape[2], shape[0], shape[0], int(np.prod(shape)))
    storages |= {item.operation.output: tight for item in fused if (tight := _tight(item, fused, network))}
    steps = tuple(_step(item, network, storages[item.operation.input]) for item in fused)
    storages |= {step.output: step.target for step in steps if isinstance(step, Spread)}
    images = GROUP if max_batch >= GROUP else 1
    segments = _segments(steps, images)
    places, arena = place_values(
        [_life(network, segments, storages, name) for name in _placed(network, steps, direct)], images
    )
    return Plan(network, segments, storages, places, direct, images, arena, shorter or {})


@dataclass(frozen=True)
class Shortenable:
    """A layer that need not multiply float32.

    Attributes:
        weights: how many it has.
        shortest: numbers that it can multiply.
    """

    weights: int
    shortest: Shorter

    def at(self, precision: str) -> str:
        """What it multiplies where a precision is wanted."""
        return self.shortest if precision == "int8" else precision


def can_be_shorter(plan: Plan) -> dict[str, Shortenable]:
    """The layers that need not multiply float32, in order, by the values that they make.

    The first layer of a graph of an image, which reads single pixels, and the last sums of a decoder are float32.
    """
    steps = [step for segment in plan.segments for step in segment.steps]
    found = {result_of(step): _shortenable(step) for step in steps}
    return {name: layer for name, layer in found.items() if layer}


def _shortenable(step: Step) -> Shortenable | None:
    if isinstance(step, Layer) and reads_vectors(step):
        return Shortenable(weights_of(step), "int8")
    if isinstance(step, Fused) and isinstance(step.operation, Readout):
        return Shortenable(step.operation.masks.size + step.operation.features.size, "bf16")
    return None


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


def _segments(steps: tuple[Step, ...], images: int) -> tuple[Segment, ...]:
    """Steps with many weights take a group at once, so that weights are loaded once for all of its images."""
    found: list[Segment] = []
    for step in steps:
        together = images > 1 and isinstance(step, Layer) and weights_of(step) >= MANY_WEIGHTS
        if together or not found or found[-1].together:
            found.append(Segment(together, (step,)))
        else:
            found[-1] = Segment(False, (*found[-1].steps, step))
    return tuple(found)


def _placed(network: Network, steps: tuple[Step, ...], direct: bool) -> list[str]:
    """Names of the values in the arena, in the order in which they are made."""
    return [*([] if direct else [network.input.name]), *(result_of(step) for step in steps)]


def _life(network: Network, segments: tuple[Segment, ...], storages: dict[str, Storage], name: str) -> Life:
    """From the segment that makes a value to the last that reads it; the first segment puts the input there."""
    made = next((i for i, s in enumerate(segments) if name in [result_of(step) for step in s.steps]), 0)
    read = [i for i, s in enumerate(segments) if name in [source_of(step) for step in s.steps]]
    is_local = not segments[made].together and max(read, default=made) == made
    shape = network.shapes[name]
    # Codes are int64 and take two floats each.
    floats = padded(2 * shape[0] * shape[1]) if len(shape) == 2 else storages[name].image
    return Life(name, made, max(read, default=made), floats, is_local)


def _is_direct(name: str, shape: tuple[int, ...], fused: tuple[Fused, ...]) -> bool:
    """Whether an input can be read where it is: one channel, or one pixel, and only by what reads float by float."""
    users = [item.operation for item in fused if item.operation.input == name]
    is_plain = len(shape) == 1 or shape[0] == 1 or shape[1:] == (1, 1)
    return is_plain and all(isinstance(user, (*CONVOLUTIONS, Standardise)) for user in users)


def _tight(item: Fused, fused: tuple[Fused, ...], network: Network) -> Storage | None:
    """How a scaled or standardised map lies in memory where only convolutions read it, float by float: not padded."""
    name = item.operation.output
    users = [other.operation for other in fused if other.operation.input == name]
    outputs = [spec.name for spec in network.outputs]
    if not isinstance(item.operation, Pixels | Standardise) or name in outputs:
        return None
    if not all(isinstance(user, (*CONVOLUTIONS, Standardise)) for user in users):
        return None
    channels, height, width = network.shapes[name]
    return Storage(height, width, channels, channels, padded(height * width * channels) + ALIGNMENT)
