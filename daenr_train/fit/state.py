"""The state of a fit between two steps: all that decides its future, so that it can go on bit for bit."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from daenr_common.errors import CheckpointError, DaenrError
from daenr_train.checkpoint import load_plain_tensors, write_plain_tensors
from daenr_train.fit.config import TrainingConfig
from daenr_train.models import DaeNr

FORMAT = "daenr-fit-state"
VERSION = 1


@dataclass
class Progress:
    """How far a fit has come.

    Attributes:
        step: steps taken.
        round: the current round, from 0.
        round_start: the step at which the round started.
        best_loss: lowest validation loss so far.
        best_step: the step at which it was reached.
        finished: whether training has stopped for good.
    """

    step: int = 0
    round: int = 0
    round_start: int = 0
    best_loss: float = math.inf
    best_step: int = 0
    finished: bool = False


class DivergedError(DaenrError):
    """The validation error of a fit is no number any more."""


class FitState:
    """Model, optimiser and progress of one fit.

    The order of images and the samples of a VAE are functions of seed and step, so no random state has to be kept.
    """

    def __init__(self, model: DaeNr, config: TrainingConfig) -> None:
        self.model = model
        self.config = config
        self.progress = Progress()
        self.best_weights = _copied(model.state_dict())
        self.optimiser = self._fresh_optimiser()

    def validated(self, loss: float) -> None:
        """Take note of a validation loss, and end the round or the fit when it has stopped improving.

        Raises:
            DivergedError: the loss is not finite.
        """
        progress = self.progress
        if not math.isfinite(loss):
            problem = f"has diverged: the validation error is {loss} after {progress.step} steps"
            raise DivergedError("the fit", problem, "lower the learning rate, e.g. --set learning_rate=0.0003")
        if loss < progress.best_loss:
            progress.best_loss, progress.best_step = loss, progress.step
            self.best_weights = _copied(self.model.state_dict())
        elif progress.step - max(progress.best_step, progress.round_start) >= self.config.patience_steps:
            self._end_round()
        if progress.step >= self.config.max_steps:
            progress.finished = True

    def _end_round(self) -> None:
        progress = self.progress
        self.model.load_state_dict(self.best_weights)
        progress.round += 1
        progress.round_start = progress.step
        progress.finished = progress.round >= self.config.rounds
        self.optimiser = self._fresh_optimiser()

    def _fresh_optimiser(self) -> torch.optim.Optimizer:
        rate = self.config.learning_rate * self.config.rate_factor**self.progress.round
        return torch.optim.Adam(self.model.parameters(), lr=rate, fused=True)

    def save(self, path: Path, identity: dict[str, Any]) -> None:
        """Write the state; `identity` tells later which fit it belongs to."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "header": json.dumps({"identity": identity, "progress": vars(self.progress)}),
            "weights": self.model.state_dict(),
            "best_weights": self.best_weights,
            "optimiser": self.optimiser.state_dict()["state"],
        }
        write_plain_tensors(path, content)

    def restore(self, path: Path, identity: dict[str, Any]) -> None:
        """Continue from a state that `save` wrote.

        Raises:
            CheckpointError: the file is missing, damaged, or belongs to a fit with other settings or data.
        """
        content = load_plain_tensors(path, FORMAT, VERSION)
        try:
            header = json.loads(content["header"])
            progress = Progress(**header["progress"])
            different = sorted(key for key, value in identity.items() if header["identity"].get(key) != value)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise CheckpointError(
                path, "is not a whole state of a fit", "fit without --resume, with --force"
            ) from error
        if different:
            raise CheckpointError(
                path,
                f"belongs to a fit with other {', '.join(different)}",
                "use the same settings, or fit without --resume",
            )
        if progress.step >= self.config.max_steps:
            problem = f"has taken {progress.step} steps, and at most {self.config.max_steps} were asked for"
            raise CheckpointError(path, problem, "raise --max-steps")
        # it may have ended only because fewer steps were asked for then
        progress.finished = progress.round >= self.config.rounds
        self.progress = progress
        self.model.load_state_dict(content["weights"])
        self.best_weights = content["best_weights"]
        self.optimiser = self._fresh_optimiser()
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": content["optimiser"], "param_groups": groups})


def _copied(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in weights.items()}
