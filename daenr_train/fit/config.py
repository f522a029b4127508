"""The settings of a fit: the paper's procedure (section 4.1), and the weights of the loss terms."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass, fields
from typing import Any

from daenr_common.errors import SpecError

PROCESSORS = os.cpu_count() or 1


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is fitted. Defaults follow the paper where it gives them; the rest was chosen on validation data.

    Attributes:
        alpha: weight of the reconstruction term, α of equation 3.
        beta: weight of the Poisson term, β of equation 3.
        learning_rate: of Adam, at the start (paper: 0.001).
        rate_factor: the learning rate of each further round, relative to the one before (paper: a half).
        rounds: how often training runs until it stops improving (paper: twice).
        patience_steps: stop a round when the validation loss has not improved for this many steps (paper: 1000).
        validate_every: steps between two validations.
        max_steps: stop after this many steps in all, whatever the validation loss does.
        batch_size: images in a step.
        validation_fraction: share of the training images that is held out for early stopping.
        kl: weight of the VAE's Kullback-Leibler term, relative to alpha. With squared error as the reconstruction
            term, 1 is the evidence lower bound of a Gaussian decoder with variance ½.
        codebook: weight of the VQ-VAE's codebook term, relative to alpha (van den Oord et al. 2017: 1).
        commitment: weight of its commitment term, relative to alpha (van den Oord et al. 2017: 0.25).
        readout_sparsity: weight of Σ_n ‖mask_n‖₁ ‖weights_n‖₁ (Klindt et al. 2017).
        mask_smoothness: weight of the squared Laplacian of the spatial masks.
        filter_smoothness: weight of the squared Laplacian of the first stage's filters.
        relative_smoothness: weight of the same in units of each filter's power (as in Klindt et al. 2017).
        filter_sparsity: weight of the group norm of the later stages' filters (Klindt et al. 2017).
        feature_sparsity: weight of the mean magnitude of the features read out (paper, section 3.2).
        seed: of the split, the initial weights, the order of images and the VAE's samples.
        threads: processor threads of torch; results repeat bit for bit for the same number.

    Raises:
        SpecError: a setting is out of its range; all faults are named at once.
    """

    alpha: float = 1.0
    beta: float = 1.0
    learning_rate: float = 1e-3
    rate_factor: float = 0.5
    rounds: int = 2
    patience_steps: int = 1000
    validate_every: int = 50
    max_steps: int = 20_000
    batch_size: int = 64
    validation_fraction: float = 0.2
    kl: float = 1.0
    codebook: float = 1.0
    commitment: float = 0.25
    readout_sparsity: float = 0.02
    mask_smoothness: float = 0.02
    filter_smoothness: float = 0.03
    relative_smoothness: float = 0.0
    filter_sparsity: float = 0.05
    feature_sparsity: float = 0.0
    seed: int = 0
    threads: int = min(2, PROCESSORS)

    def __post_init__(self) -> None:
        faults = [fault for setting in fields(self) if (fault := self._fault_of(setting.name))]
        if self.alpha == 0 and self.beta == 0:
            faults.append("alpha and beta are both 0, which leaves nothing to learn")
        if faults:
            raise SpecError("training configuration", ", ".join(faults), "correct these settings")

    def _fault_of(self, name: str) -> str | None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return f"{name} is {value!r}, expected a finite number"
        if name in _COUNTS and (value < 1 or value != int(value)):
            return f"{name} is {value}, expected a whole number ≥ 1"
        if name == "seed" and value >= 2**31:
            return f"seed is {value}, expected less than 2³¹"
        if name == "threads" and value > PROCESSORS:
            return f"threads is {value}, and this machine has {PROCESSORS} processors"
        if name in ("learning_rate", "rate_factor") and value <= 0:
            return f"{name} is {value}, expected a number > 0"
        if name == "validation_fraction" and not 0 < value < 1:
            return f"{name} is {value}, expected a number between 0 and 1"
        if value < 0:
            return f"{name} is {value}, expected a number ≥ 0"
        return None

    def to_json(self) -> dict[str, Any]:
        """Plain values, by name."""
        return asdict(self)


_COUNTS = ("rounds", "patience_steps", "validate_every", "max_steps", "batch_size", "threads")
