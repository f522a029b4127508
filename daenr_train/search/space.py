"""Which settings are searched, within which bounds, and what a trial is judged by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from daenr_common.errors import SpecError
from daenr_train.fit.config import TrainingConfig
from daenr_train.spec import ModelSpec

Objective = Literal["responses", "images"]

TERMS: dict[Objective, str] = {"responses": "validation/poisson", "images": "validation/reconstruction"}
"""The unweighted term of the validation error that is minimised: small weights would make the weighted sum small."""

_KINDS = {field.name: field.type for field in fields(TrainingConfig)}


@dataclass(frozen=True)
class Range:
    """Bounds of a setting; it is drawn evenly in its logarithm if both are positive."""

    low: float
    high: float


_BOUNDS = {
    "alpha": Range(1e-3, 10),
    "beta": Range(0.1, 10),
    "kl": Range(1e-2, 10),
    "commitment": Range(0.025, 2.5),
    "readout_sparsity": Range(1e-4, 0.3),
    "mask_smoothness": Range(1e-4, 1),
    "filter_smoothness": Range(1e-3, 1),
    "filter_sparsity": Range(1e-3, 1),
}
_BOUNDS_OF_BASELINE = {
    "klindt": {
        "readout_sparsity": Range(2e-3, 0.2),
        "relative_smoothness": Range(1e-3, 0.1),
        "filter_sparsity": Range(0.24, 24),
    },
    "lnp": {"readout_sparsity": Range(2e-3, 0.2), "relative_smoothness": Range(1e-3, 0.1)},
    "mean": {},
}


def default_ranges(spec: ModelSpec) -> dict[str, Range]:
    """The settings that matter to a model: α and β of a joint one, its latent's weights, its readout's and filters'."""
    if spec.baseline:
        return dict(_BOUNDS_OF_BASELINE[spec.baseline])
    names = ["alpha", "beta"] if spec.autoencoder and spec.readout else []
    names += {"vae": ["kl"], "vqvae": ["commitment"]}.get(spec.autoencoder or "", [])
    if spec.readout:
        names += ["readout_sparsity", "filter_smoothness"]
        names += ["mask_smoothness"] if spec.readout == "fr" else []
        names += ["filter_sparsity"] if spec.layer > 1 else []
    return {name: bounds for name, bounds in _BOUNDS.items() if name in names}


def parse_ranges(given: Sequence[str]) -> dict[str, Range]:
    """Ranges from `name=low:high`.

    Raises:
        SpecError: a name is no setting of a fit or is given twice, or the bounds are not two rising numbers ≥ 0.
    """
    ranges: dict[str, Range] = {}
    for text in given:
        name, _, bounds = text.partition("=")
        if name not in _KINDS or name == "seed":
            known = ", ".join(known for known in _KINDS if known != "seed")
            raise SpecError(f"--search {name!r}", "is not a setting that can be searched", f"use one of {known}")
        if name in ranges:
            raise SpecError(f"--search {name}", "is given twice", "give it once")
        ranges[name] = _bounds(name, bounds)
    return ranges


def is_whole(name: str) -> bool:
    """Whether a setting is a whole number."""
    return _KINDS[name] == "int"


def chosen_objective(spec: ModelSpec, given: Objective | None) -> Objective:
    """What the trials of a model are judged by: its responses if it predicts any, unless another is asked for.

    Raises:
        SpecError: the model does not do what is asked for.
    """
    can: list[Objective] = [*(["responses"] if spec.readout else []), *(["images"] if spec.autoencoder else [])]  # type: ignore[list-item]
    if given is not None and given not in can:
        raise SpecError(f"--objective {given}", f"is nothing that {spec.name} can do", f"use {' or '.join(can)}")
    return given or can[0]


def _bounds(name: str, text: str) -> Range:
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError:
        low = high = math.nan
    if not (0 <= low < high < math.inf) or (is_whole(name) and (low, high) != (int(low), int(high))):
        kind = "whole numbers" if is_whole(name) else "numbers"
        raise SpecError(f"--search {name}={text}", f"has no bounds, expected two {kind} ≥ 0, the lower first", _EXAMPLE)
    return Range(low, high)


_EXAMPLE = "write e.g. --search alpha=0.001:10"
