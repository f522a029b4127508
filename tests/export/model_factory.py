"""Models as training leaves them, without the training: lively batch norm and readouts, and checkpoints of them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch

from daenr_train.checkpoint import Checkpoint, Provenance, save_checkpoint
from daenr_train.models import DaeNr, make_model
from daenr_train.spec import parse_model_name


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, 1, 32, 32)).astype(np.float32)


@torch.no_grad()
def random_model(name: str, n_neurons: int = 11) -> DaeNr:
    """Weights drawn at random; batch norm with statistics of its own; responses that vary from image to image."""
    model = make_model(parse_model_name(name, n_neurons=n_neurons), 0).eval()
    generator = torch.Generator().manual_seed(1)
    if model.spec.baseline:  # they start from weights too small to show a difference between images
        for filters in model.filters:
            filters.normal_(0, filters[0].numel() ** -0.5, generator=generator)
    for norm in (module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        norm.running_mean.normal_(0, 0.3, generator=generator)
        norm.running_var.uniform_(0.5, 2, generator=generator)
        norm.weight.uniform_(0.5, 1.5, generator=generator)
        norm.bias.normal_(0, 0.3, generator=generator)
    if model.readout is not None:
        _enliven(model)
    return model


def _enliven(model: DaeNr) -> None:
    """Scale the readout so that what goes into softplus has mean 0 and standard deviation 1.5 over images."""
    readout = model.readout
    if model.spec.readout in ("fr", "fm"):
        edge = model.spec.features_shape()[-1]
        mask = next(t for n, t in (*readout.named_parameters(), *readout.named_buffers()) if "mask" in n)
        mask.copy_(_spots(len(mask), edge))
    for name, parameter in readout.named_parameters():
        if "weights" in name or "dense.weight" in name:
            gain = 1.5 / _before_softplus(model).std(0).mean()
            parameter.mul_(gain)
    readout.bias.sub_(_before_softplus(model).mean(0).float())


def _spots(count: int, edge: int) -> torch.Tensor:
    """Where each neuron looks: a round spot, as a fitted mask is."""
    centres = torch.rand((count, 2), generator=torch.Generator().manual_seed(2)) * edge
    positions = torch.cartesian_prod(torch.arange(edge) + 0.5, torch.arange(edge) + 0.5)
    spots = torch.exp(-torch.cdist(centres, positions).square() / (2 * (0.15 * edge) ** 2))
    return spots / spots.sum(1, keepdim=True)


def _before_softplus(model: DaeNr) -> torch.Tensor:
    responses = copy.deepcopy(model).double()(torch.from_numpy(images(64)).double()).responses
    return responses + torch.log(-torch.expm1(-responses))


def write_checkpoint(path: Path, name: str = "cae-fr2", n_images: int = 5, **changes: Any) -> Path:
    """A checkpoint of a random model with 11 neurons."""
    model = random_model(name)
    n_neurons = model.spec.n_neurons
    fields = {
        "spec": model.spec,
        "weights": model.state_dict(),
        "example_images": images(n_images),
        "neuron_ids": tuple(f"n{index}" for index in range(n_neurons)),
        "recording": Provenance("region1", "insilico", "ab" * 32, "cd" * 32),
        "training": {"epochs": 3},
        "metrics": {"response_correlation": 0.41, "undefined": float("nan")},
        "seed": 0,
    }
    save_checkpoint(Checkpoint(**(fields | changes)), path)
    return path
