"""Most exciting images of a checkpoint's neurons, and what it predicts for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from daenr_common.errors import SpecError
from daenr_train.checkpoint import Checkpoint
from daenr_train.fit.determinism import deterministic_torch
from daenr_train.spec import IMAGE_SIZE
from daenr_train.stimuli.ascent import Climb, OnStep, excite_by_pixels
from daenr_train.stimuli.budget import Budget
from daenr_train.stimuli.latents import excite_by_latents, responses_of

Float32Array = NDArray[np.float32]

Space = Literal["pixel", "latent"]
SPACES: tuple[Space, ...] = get_args(Space)


@dataclass(frozen=True, eq=False)
class Stimuli:
    """Images for K neurons, and the responses of all M neurons to them.

    Attributes:
        neurons: K positions in the order of the checkpoint's neurons.
        images: `(K, 1, 32, 32)` in [-1, 1] by what they are: `pixel`, `latent`, and for comparison `natural`, the
            held-out image of the checkpoint that excites the neuron most with the same mean and contrast.
        responses: predicted, `(K, M)`, by the same names.
        grey: predicted responses to an image without contrast, `(M,)`.
    """

    neurons: tuple[int, ...]
    images: dict[str, Float32Array]
    responses: dict[str, Float32Array]
    grey: Float32Array

    def own(self, kind: str) -> Float32Array:
        """The response of each neuron to its own image, `(K,)`."""
        return self.responses[kind][np.arange(len(self.neurons)), list(self.neurons)]


def check_request(checkpoint: Checkpoint, neurons: Sequence[int], spaces: Sequence[Space]) -> tuple[Space, ...]:
    """The spaces to search in: those asked for, else all that the model has.

    Raises:
        SpecError: the model predicts no responses, has no such neuron or no decoder, or a neuron is named twice.
    """
    spec = checkpoint.spec
    if spec.readout is None:
        raise SpecError(f"model {spec.name}", "predicts no responses", "use a checkpoint of a model with a readout")
    for neuron in neurons:
        if not 0 <= neuron < spec.n_neurons:
            problem = f"does not exist: the checkpoint has {spec.n_neurons} neurons"
            raise SpecError(f"neuron {neuron}", problem, f"use a position from 0 to {spec.n_neurons - 1}")
    if len(set(neurons)) < len(neurons):
        raise SpecError("neurons", "name one twice", "name it once")
    if "latent" in spaces and spec.autoencoder is None:
        raise SpecError(f"model {spec.name}", "has no decoder, and so no latent space", "use --space pixel")
    return tuple(spaces) or (SPACES if spec.autoencoder else ("pixel",))


def find_stimuli(
    checkpoint: Checkpoint,
    neurons: Sequence[int],
    spaces: Sequence[Space],
    budget: Budget,
    climb: Climb,
    *,
    threads: int = 1,
    on_step: OnStep = lambda: None,
) -> Stimuli:
    """Search the images that excite neurons most.

    Args:
        checkpoint: a fitted model with a readout.
        neurons: K positions in the order of its neurons.
        spaces: where to search; empty for all that the model has.
        budget: mean and contrast of all images.
        climb: how to search.
        threads: processor threads; the outcome repeats for the same number.
        on_step: told of each step.

    Raises:
        SpecError: as `check_request`.
    """
    spaces = check_request(checkpoint, neurons, spaces)
    model = checkpoint.model().requires_grad_(False)
    natural = budget.apply(torch.tensor(checkpoint.example_images))

    def respond(images: Tensor) -> Tensor:
        return responses_of(model, images)

    with deterministic_torch(threads):
        found: dict[str, Tensor] = {}
        if "pixel" in spaces:
            found["pixel"] = excite_by_pixels(respond, neurons, budget, climb, on_step)
        if "latent" in spaces:
            originals = torch.tensor(checkpoint.example_images)
            found["latent"] = excite_by_latents(model, originals, neurons, budget, climb, on_step)
        with torch.no_grad():
            found["natural"] = natural[respond(natural)[:, list(neurons)].argmax(0)]
            responses = {kind: respond(images).numpy() for kind, images in found.items()}
            grey = respond(torch.full((1, 1, IMAGE_SIZE, IMAGE_SIZE), budget.mean))[0].numpy()
    return Stimuli(tuple(neurons), {kind: images.numpy() for kind, images in found.items()}, responses, grey)
