"""Fewer operations that compute the same.

Activations move into what they are applied to, changes of shape into weights, and two linear operations into one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from daenr_export.native.reading.operations import (
    Activate,
    Activation,
    Convolution,
    Dense,
    Fold,
    Network,
    Operation,
    Readout,
    TransposedConvolution,
)

ACTIVATING = (Convolution, TransposedConvolution, Dense, Readout)
"""The operations whose kernels apply an activation before they store."""


@dataclass(frozen=True)
class Fused:
    """An operation with what is done to its result before it is stored.

    Attributes:
        operation: what is computed; its output bears the name under which the result is stored.
        activation: applied to each element.
    """

    operation: Operation
    activation: Activation = "none"


def fuse(network: Network) -> tuple[Fused, ...]:
    """The operations of a network, each merged into the one before it where that computes the same."""
    fused: list[Fused] = []
    uses = Counter(operation.input for operation in network.operations)
    uses.update(spec.name for spec in network.outputs)
    for operation in network.operations:
        before = next((item for item in fused if item.operation.output == operation.input), None)
        if before is not None and uses[operation.input] == 1 and (merged := _merge(before, operation)):
            fused[fused.index(before)] = merged
        else:
            fused.append(Fused(operation))
    return tuple(fused)


def _merge(before: Fused, operation: Operation) -> Fused | None:
    renamed = replace(before.operation, output=operation.output)
    if isinstance(operation, Activate):
        is_free = before.activation == "none" and isinstance(before.operation, ACTIVATING)
        return Fused(renamed, operation.kind) if is_free else None
    if isinstance(operation, Fold) and isinstance(before.operation, Dense):
        return Fused(renamed, before.activation)
    if isinstance(operation, Convolution) and isinstance(before.operation, Convolution) and before.activation == "none":
        return _product(before.operation, operation)
    return None


def _product(first: Convolution, second: Convolution) -> Fused | None:
    """Two convolutions in one, if the second looks at single pixels and the product has fewer weights than the two."""
    looks_at_pixels = second.weight.shape[2:] == second.stride == (1, 1) and second.pads == ((0, 0), (0, 0))
    size = len(second.weight) * first.weight[0].size
    if not looks_at_pixels or size >= first.weight.size + second.weight.size:
        return None
    matrix = second.weight[:, :, 0, 0].astype(np.float64)
    weight = np.einsum("ab,bcij->acij", matrix, first.weight).astype(np.float32)
    bias = (matrix @ first.bias + second.bias).astype(np.float32)
    return Fused(replace(first, output=second.output, weight=np.ascontiguousarray(weight), bias=bias))
