"""Fewer operations that compute the same: activations move into what they are applied to, changes of shape into weights."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from daenr_export.native.operations import Activate, Activation, Dense, Fold, Network, Operation


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
    """The operations of a network, with activations and folds moved into the operations before them where they can be."""
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
    if isinstance(operation, Activate) and before.activation == "none":
        return Fused(renamed, operation.kind)
    if isinstance(operation, Fold) and isinstance(before.operation, Dense):
        return Fused(renamed, before.activation)
    return None
