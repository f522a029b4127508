"""What an image may spend: its mean grey and its contrast are fixed, so that no neuron is excited by more light."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from daenr_common.errors import SpecError

PASSES = 5
"""Clipping changes mean and contrast, so both are set again; after a few times hardly anything is left to change."""


@dataclass(frozen=True)
class Budget:
    """Of every image that is compared with another.

    Attributes:
        mean: mean of the pixels, between -1 and 1.
        contrast: their standard deviation. Pixels that would leave [-1, 1] are clipped, and the contrast falls short.

    Raises:
        SpecError: an image in [-1, 1] cannot have them.
    """

    mean: float
    contrast: float

    def __post_init__(self) -> None:
        if not abs(self.mean) < 1:
            raise SpecError("mean grey", f"is {self.mean}, expected a number between -1 and 1", "use e.g. 0")
        if not 0 < self.contrast <= self.largest_contrast:
            problem = f"is {self.contrast}, expected a number > 0 and ≤ {self.largest_contrast:.3g}"
            raise SpecError("contrast", problem, "use e.g. 0.1")

    @property
    def largest_contrast(self) -> float:
        """Of black and white pixels with this mean."""
        return math.sqrt(1 - self.mean**2)

    def apply(self, images: Tensor) -> Tensor:
        """Images `(B, 1, H, W)` of any range with this mean and contrast, in [-1, 1]; one without contrast is grey."""
        for _ in range(PASSES):
            centred = images - images.mean((1, 2, 3), keepdim=True)
            deviation = (centred.square().mean((1, 2, 3), keepdim=True) + 1e-10).sqrt()  # rounding is no contrast
            images = (self.mean + self.contrast * centred / deviation).clamp(-1, 1)
        return images
