"""One step of Adam, and one look at the validation set."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from daenr_train.data.recording import Recording
from daenr_train.data.split import Split
from daenr_train.fit.config import TrainingConfig
from daenr_train.fit.losses import data_terms, regularisation_terms, total
from daenr_train.fit.state import FitState

VALIDATION_BATCH = 512


class Trainer:
    """Moves a FitState forward on the images of a recording, which stay in memory as two tensors."""

    def __init__(self, state: FitState, recording: Recording, parts: Split) -> None:
        self.state = state
        self.images = torch.from_numpy(recording.images)
        self.responses = torch.from_numpy(recording.responses)
        self.train_indices = parts.train_indices
        self.validation = torch.from_numpy(parts.validation_indices)

    def step(self) -> dict[str, float]:
        """Take one step of Adam on the next batch; returns the unweighted loss terms."""
        state, config = self.state, self.state.config
        batch = self._next_batch()
        # A function of seed and step, so that a resumed fit draws the same samples.
        torch.manual_seed(config.seed * 1_000_003 + state.progress.step)
        state.model.train()
        images = self.images[batch]
        output = state.model(images)
        terms = data_terms(output, images, self.responses[batch])
        terms |= regularisation_terms(state.model, output.features, config)
        loss = total(terms, config)
        state.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        state.optimiser.step()
        state.progress.step += 1
        return _as_floats(terms)

    def _next_batch(self) -> Tensor:
        config, step = self.state.config, self.state.progress.step
        batch_size = min(config.batch_size, len(self.train_indices))
        epoch, position = divmod(step, len(self.train_indices) // batch_size)
        order = np.random.default_rng((config.seed, epoch)).permutation(self.train_indices)
        return torch.from_numpy(order[position * batch_size : (position + 1) * batch_size])

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The terms of the validation error, as means over the held-out images."""
        model = self.state.model.eval()
        sums: dict[str, float] = {}
        for batch in torch.split(self.validation, VALIDATION_BATCH):
            images = self.images[batch]
            terms = data_terms(model(images), images, self.responses[batch])
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(batch)
        return {name: value / len(self.validation) for name, value in sums.items()}


def validation_error(terms: dict[str, float], config: TrainingConfig) -> float:
    """What early stopping looks at: the likelihood terms. The VQ-VAE's codebook terms only serve its training."""
    error = config.alpha * (terms.get("reconstruction", 0.0) + config.kl * terms.get("kl", 0.0))
    return error + config.beta * terms.get("poisson", 0.0)


def _as_floats(terms: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in terms.items()}
