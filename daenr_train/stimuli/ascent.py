"""Most exciting images by gradient ascent on the pixels.

As in Walker et al. 2019 (Nat Neurosci 22:2060) and Bashivan et al. 2019 (Science 364:eaav9436): from noise, along the
smoothed gradient of one neuron's predicted response, with mean and contrast set again after each step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional as F

from daenr_common.errors import SpecError
from daenr_train.spec import IMAGE_SIZE
from daenr_train.stimuli.budget import Budget

Respond = Callable[[Tensor], Tensor]
"""Predicted responses `(B, M)` to images `(B, 1, 32, 32)`, differentiable."""

OnStep = Callable[[], object]

FIRST_STEP, LAST_STEP = 0.3, 0.003
"""Lengths of the first and the last step, in lengths of what is moved."""

START_SMOOTHNESS = 2.0
"""Pixels: SD of the Gaussian that smooths the noise at the start."""


@dataclass(frozen=True)
class Climb:
    """How an image is searched.

    Attributes:
        steps: of gradient ascent.
        starts: how many starting points there are, of which the best outcome counts.
        smoothing: SD in pixels of the Gaussian that smooths the gradient; 0 for none. Only for pixels.
        seed: of the starting points.

    Raises:
        SpecError: a setting is out of its range.
    """

    steps: int = 200
    starts: int = 4
    smoothing: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.starts < 1 or self.seed < 0:
            problem = f"are {self.steps}, {self.starts} and {self.seed}, expected at least 1, 1 and 0"
            raise SpecError("steps, starts and seed", problem, "use e.g. 200, 4 and 0")
        if not 0 <= self.smoothing <= IMAGE_SIZE:
            problem = f"is {self.smoothing}, expected a number of pixels between 0 and {IMAGE_SIZE}"
            raise SpecError("smoothing", problem, "use e.g. 1")

    def length(self, step: int) -> float:
        """Of a step, in lengths of what is moved; it falls evenly in its logarithm."""
        share = step / max(self.steps - 1, 1)
        return float(FIRST_STEP * (LAST_STEP / FIRST_STEP) ** share)


def excite_by_pixels(
    respond: Respond, neurons: Sequence[int], budget: Budget, climb: Climb, on_step: OnStep = lambda: None
) -> Tensor:
    """The image that excites each neuron most, `(K, 1, 32, 32)`.

    Args:
        respond: the model.
        neurons: K positions among its responses.
        budget: of the images.
        climb: how to search.
        on_step: told of each step.
    """
    images = budget.apply(torch.cat([_noise(climb, neuron) for neuron in neurons]))
    owners = torch.tensor(neurons).repeat_interleave(climb.starts)
    length = budget.contrast * IMAGE_SIZE  # of the deviation from grey, as a vector
    for step in range(climb.steps):
        direction = _smooth(gradient(respond, images, owners), climb.smoothing)
        images = budget.apply(images + climb.length(step) * length * unit(direction))
        on_step()
    return best_of_starts(respond, images, owners, climb.starts)


def gradient(respond: Respond, points: Tensor, owners: Tensor) -> Tensor:
    """Of each point's own neuron's response; points `(B, …)`, owners `(B,)`."""
    points = points.detach().requires_grad_()
    own = respond(points).gather(1, owners[:, None])
    found: Tensor = torch.autograd.grad(own.sum(), points)[0]
    return found


def unit(vectors: Tensor) -> Tensor:
    """Each of the vectors `(B, …)` with length 1; a zero stays zero."""
    length: Tensor = vectors.flatten(1).norm(dim=1).clamp_min(torch.finfo(vectors.dtype).tiny)
    return vectors / length.view(-1, *[1] * (vectors.dim() - 1))


@torch.no_grad()
def best_of_starts(respond: Respond, points: Tensor, owners: Tensor, starts: int) -> Tensor:
    """Of every `starts` points in a row the one to which its neuron answers most."""
    own = respond(points).gather(1, owners[:, None]).view(-1, starts)
    chosen = torch.arange(len(own)) * starts + own.argmax(1)
    return points[chosen]


def _noise(climb: Climb, neuron: int) -> Tensor:
    """Smooth noise to start from, the same for a neuron whichever others are asked for."""
    generator = np.random.default_rng([climb.seed, neuron])
    noise = generator.standard_normal((climb.starts, 1, IMAGE_SIZE, IMAGE_SIZE))
    return torch.from_numpy(gaussian_filter(noise, (0, 0, START_SMOOTHNESS, START_SMOOTHNESS))).float()


def _smooth(images: Tensor, deviation: float) -> Tensor:
    """Convolve `(B, 1, H, W)` with a Gaussian; beyond the edge there is nothing."""
    if deviation == 0:
        return images
    reach = math.ceil(3 * deviation)
    offsets = torch.arange(-reach, reach + 1, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (offsets / deviation).square())
    kernel /= kernel.sum()
    across = F.conv2d(images, kernel.view(1, 1, 1, -1), padding=(0, reach))
    return F.conv2d(across, kernel.view(1, 1, -1, 1), padding=(reach, 0))
