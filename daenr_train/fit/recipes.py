"""What the settings of a fit start from, by model."""

from __future__ import annotations

from typing import Any

from daenr_train.spec import Baseline, parse_model_name

_STOPPING = {"batch_size": 256, "validate_every": 50, "patience_steps": 500}
_OFF = {"mask_smoothness": 0.0, "filter_smoothness": 0.0, "filter_sparsity": 0.0}

RECIPES: dict[Baseline, dict[str, Any]] = {
    "klindt": _STOPPING
    | _OFF
    | {
        "rounds": 3,
        "rate_factor": 1 / 3,
        "max_steps": 30_000,
        "readout_sparsity": 0.02,
        "relative_smoothness": 0.03,
        "filter_sparsity": 0.05 * 48,  # they sum over the 48 output channels, and our term is their mean
    },
    "lnp": _STOPPING | _OFF | {"rounds": 1, "max_steps": 10_000, "readout_sparsity": 0.04, "relative_smoothness": 0.02},
}
"""The procedures of Klindt et al. 2017 (their v1data/standalone.py and database.py), as fields of TrainingConfig.

Where a round ends ours starts Adam anew, and theirs goes on with its moments. Of the weights that they tried for the
LNP these are the ones in the middle.
"""


def recipe_of(model_name: str) -> dict[str, Any]:
    """The fields of TrainingConfig that differ from the defaults for a model; none for the paper's 51.

    Raises:
        SpecError: there is no such model.
    """
    baseline = parse_model_name(model_name, n_neurons=1).baseline
    return dict(RECIPES.get(baseline, {})) if baseline else {}
