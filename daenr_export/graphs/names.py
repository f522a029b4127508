"""The six graphs of a bundle and their tensors. Imports neither torch nor onnx."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from daenr_train.spec import ModelSpec

BATCH_AXIS = "batch"
"""Name of the dynamic axis, the first of every tensor."""


@dataclass(frozen=True)
class Cut:
    """A graph as a cut through the model: from one tensor to others."""

    input: str
    outputs: tuple[str, ...]


CUTS: dict[str, Cut] = {
    "encoder": Cut("image", ("features",)),
    "decoder": Cut("features", ("reconstruction", "codes")),
    "readout": Cut("features", ("responses",)),
    "responses": Cut("image", ("responses",)),
    "reconstruction": Cut("image", ("reconstruction", "codes")),
    "joint": Cut("image", ("responses", "reconstruction", "codes")),
}
"""The paper's three functions, and the fused paths that a rig runs. `codes` is there for a VQ-VAE only."""


def in_order(names: Iterable[str]) -> list[str]:
    """Names of graphs in the order of `CUTS`; others, of a later schema, behind them."""
    known = list(CUTS)
    return sorted(names, key=lambda name: known.index(name) if name in known else len(known))


def tensor_names(spec: ModelSpec) -> tuple[str, ...]:
    """What a model computes from an image, in the order of the traced graph's outputs."""
    names = ["features"]
    if spec.readout:
        names.append("responses")
    if spec.autoencoder:
        names.append("reconstruction")
    if spec.autoencoder == "vqvae":
        names.append("codes")
    return tuple(names)


def cuts_of(spec: ModelSpec) -> dict[str, Cut]:
    """The graphs that a model has: all six, or three for an autoencoder or a neural-only baseline."""
    has = tensor_names(spec)
    cuts = {name: Cut(cut.input, tuple(o for o in cut.outputs if o in has)) for name, cut in CUTS.items()}
    # A joint graph without a readout or without a decoder would be another graph under a second name.
    is_joint = spec.readout is not None and spec.autoencoder is not None
    return {name: cut for name, cut in cuts.items() if cut.outputs and (name != "joint" or is_joint)}
