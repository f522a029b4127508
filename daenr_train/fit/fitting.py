"""Fitting a model to a recording by the paper's procedure (section 4.1)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from daenr_common.errors import CheckpointError, Interrupted
from daenr_train.checkpoint import Checkpoint, Provenance
from daenr_train.data.recording import Recording
from daenr_train.data.split import Split, split
from daenr_train.fit.config import TrainingConfig
from daenr_train.fit.determinism import deterministic_torch
from daenr_train.fit.interruption import stop_on_signals
from daenr_train.fit.receptive_fields import fixed_masks
from daenr_train.fit.state import FitState
from daenr_train.fit.trainer import Trainer, validation_error
from daenr_train.models import DaeNr, make_model
from daenr_train.models.baselines import Standardise
from daenr_train.models.latent import QuantisedLatent
from daenr_train.models.readout import FactorizedReadout, start_from_mean
from daenr_train.spec import ModelSpec

SAVE_EVERY_SECONDS = 10.0
EXAMPLE_IMAGES = 64
FIRST_IMAGES = 512
"""How many images a VQ-VAE's first codes are taken from."""

OnStep = Callable[[int, dict[str, float]], None]
"""Called after a step with its number and the loss terms by name (`validation/…` for those of the validation set)."""


def fit(
    recording: Recording,
    spec: ModelSpec,
    config: TrainingConfig,
    *,
    state_path: Path | None = None,
    resume: bool = False,
    on_step: OnStep | None = None,
) -> Checkpoint:
    """Fit a model: Adam, early stopping on held-out images, restore the best, halve the rate, train again.

    Args:
        recording: images and responses; its test set is not looked at, but for the example images of the checkpoint.
        spec: the model; its number of neurons must be the recording's.
        config: the procedure's settings.
        state_path: where the state is kept from time to time, and when interrupted; nowhere if None.
        resume: continue from `state_path` to the same weights, bit for bit, as without the interruption.
        on_step: told of each step.

    Returns:
        The checkpoint with the best weights by validation loss; its metrics hold only the course of the fit.

    Raises:
        CheckpointError: nothing to resume from, or a state of another fit.
        Interrupted: SIGINT or SIGTERM arrived; the state is saved.
    """
    parts = split(recording, config.validation_fraction, config.seed)
    with deterministic_torch(config.threads):
        state = FitState(_initial_model(recording, parts, spec, config), config)
        identity = _identity(recording, parts, spec, config)
        if resume:
            if state_path is None or not state_path.exists():
                raise CheckpointError(state_path or "state", "does not exist", "fit without --resume")
            state.restore(state_path, identity)
        trainer = Trainer(state, recording, parts)
        _train(trainer, state_path, identity, on_step)
        state.model.load_state_dict(state.best_weights)
    return _checkpoint(state, recording, parts)


def fit_or_go_on(
    recording: Recording, spec: ModelSpec, config: TrainingConfig, state_path: Path | None, on_step: OnStep | None
) -> Checkpoint:
    """As `fit`, from the state if there is a usable one, else from the start; the result is the same."""
    if state_path is not None and state_path.exists():
        try:
            return fit(recording, spec, config, state_path=state_path, resume=True, on_step=on_step)
        except CheckpointError:  # damaged, of another fit, or its fit was killed after the last step
            state_path.unlink()
    return fit(recording, spec, config, state_path=state_path, on_step=on_step)


def _train(trainer: Trainer, state_path: Path | None, identity: dict[str, Any], on_step: OnStep | None) -> None:
    state, config = trainer.state, trainer.state.config
    saved_at = -math.inf
    if not any(parameter.requires_grad for parameter in state.model.parameters()):  # the mean response has started well
        state.validated(validation_error(trainer.validate(), config))
        state.progress.finished = True
    with stop_on_signals() as stop:
        while not state.progress.finished:
            terms = trainer.step()
            if state.progress.step % config.validate_every == 0 or state.progress.step >= config.max_steps:
                validation = trainer.validate()
                terms |= {f"validation/{name}": value for name, value in validation.items()}
                state.validated(validation_error(validation, config))
            if on_step is not None:
                on_step(state.progress.step, terms)
            if state_path and (stop.is_set or time.monotonic() - saved_at > SAVE_EVERY_SECONDS):
                state.save(state_path, identity)
                saved_at = time.monotonic()
            if stop.is_set and not state.progress.finished:
                raise Interrupted(f"interrupted after step {state.progress.step}; continue with --resume")


def _initial_model(recording: Recording, parts: Split, spec: ModelSpec, config: TrainingConfig) -> DaeNr:
    """A fresh model that starts from what the training images and responses show without any learning."""
    model = make_model(spec, config.seed)
    images, responses = recording.images[parts.train_indices], recording.responses[parts.train_indices]
    if model.decoder is not None and isinstance(model.decoder.latent, QuantisedLatent):
        _start_codebook(model, model.decoder.latent, torch.from_numpy(images[:FIRST_IMAGES]))
    if model.readout is None:
        return model
    if isinstance(model.encoder[0], Standardise):
        model.encoder[0].start_from(torch.from_numpy(images))
    start_from_mean(model.readout, responses.mean(0).tolist())
    if spec.readout == "fm" and isinstance(model.readout, FactorizedReadout):
        _, height, width = spec.features_shape()
        model.readout.mask.copy_(torch.from_numpy(fixed_masks(images, responses, height, width)))
    return model


@torch.no_grad()
def _start_codebook(model: DaeNr, latent: QuantisedLatent, images: torch.Tensor) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert model.decoder is not None
    features = model.decoder.rest(model.encoder(images))  # in training mode: normalised by this batch
    model.load_state_dict(before)  # the running statistics of the batch norms start as in other models
    latent.start_from(features)


def _identity(recording: Recording, parts: Split, spec: ModelSpec, config: TrainingConfig) -> dict[str, Any]:
    settings = config.to_json() | {"model": spec.to_json(), "recording": recording.fingerprint}
    del settings["max_steps"]  # a fit may be continued for longer
    return settings | {"split": parts.fingerprint}


def _checkpoint(state: FitState, recording: Recording, parts: Split) -> Checkpoint:
    progress = state.progress
    return Checkpoint(
        spec=state.model.spec,
        weights=state.best_weights,
        example_images=recording.test_images[:EXAMPLE_IMAGES],
        neuron_ids=recording.neuron_ids if state.model.spec.readout else (),
        recording=Provenance(
            recording.region, Path(recording.source or "").name, recording.fingerprint, parts.fingerprint
        ),
        training=state.config.to_json(),
        metrics={
            "steps": progress.step,
            "rounds_completed": progress.round,
            "best_step": progress.best_step,
            "validation_error": progress.best_loss,
        },
        seed=state.config.seed,
    )
