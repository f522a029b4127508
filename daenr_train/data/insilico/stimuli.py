"""Stimuli: patches of the real photographs that scikit-image and scikit-learn ship inside their wheels.

Every photograph is divided by a vertical line. Training patches lie to its left and test patches to its right, with a
gap between, so that no pixel of a test image was ever seen in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daenr_common.errors import BackendUnavailableError
from daenr_common.extras import require
from daenr_train.spec import IMAGE_SIZE

"""Pixels along each side of an image."""

SCALES, SCALE_WEIGHTS = (1, 2, 3), (0.2, 0.45, 0.35)
"""A patch is 32, 64 or 96 pixels wide; each image pixel is the mean of a square of scale² photograph pixels."""

TEST_SHARE = 0.3
"""The share of each photograph's width, at its right edge, that only test patches come from."""

GAP = 16
"""Photograph pixels between the two sides: further than the blur of a JPEG block reaches."""

LEAST_CONTRAST = 0.2
"""Patches whose standard deviation is below this (a sky, a wall) are passed over, as in the experiments."""

# ITU-R BT.709 luminance of red, green and blue.
_LUMINANCE = np.array([0.2125, 0.7154, 0.0721])
_PURPOSE = "showing photographs to the simulated V1"


@dataclass(frozen=True)
class Patch:
    """A square of a photograph, `scale` · 32 pixels wide, with its upper left corner at (top, left)."""

    photograph: str
    top: int
    left: int
    scale: int

    @property
    def width(self) -> int:
        """Pixels of the photograph along each side."""
        return self.scale * IMAGE_SIZE

    def overlaps(self, other: Patch) -> bool:
        """Whether any pixel of the photograph lies in both patches."""
        return (
            self.photograph == other.photograph
            and self.top < other.top + other.width
            and other.top < self.top + self.width
            and self.left < other.left + other.width
            and other.left < self.left + self.width
        )


@cache
def photographs() -> dict[str, NDArray[np.float64]]:
    """The photographs by name, grey, (height, width) in [-1, 1].

    Each is stretched so that its 1st and 99th percentile become -1 and 1: they were exposed differently, and an
    experimenter would use the whole range of the screen.

    Raises:
        MissingExtraError: scikit-image or scikit-learn is not installed.
        BackendUnavailableError: their installation lacks the photographs.
    """
    skimage_data = require("skimage.data", extra="train", purpose=_PURPOSE)
    datasets = require("sklearn.datasets", extra="train", purpose=_PURPOSE)
    try:
        # Only functions whose file is inside the wheel: nothing here reaches for the network.
        pictures = {name: getattr(skimage_data, name)() for name in ("camera", "astronaut", "coffee", "chelsea")}
        pictures |= {name: getattr(skimage_data, name)() for name in ("grass", "gravel")}
        pictures["motorcycle"] = skimage_data.stereo_motorcycle()[0]
        pictures |= {name: datasets.load_sample_image(f"{name}.jpg") for name in ("china", "flower")}
    except (OSError, ImportError, AttributeError) as error:
        remedy = "reinstall it from its wheel: pip install --force-reinstall scikit-image scikit-learn"
        raise BackendUnavailableError("scikit-image", f"lacks its photographs ({error})", remedy) from error
    return {name: _stretched(picture) for name, picture in pictures.items()}


def training_patches(number: int, generator: np.random.Generator) -> list[Patch]:
    """Different patches from the left sides of the photographs; they may overlap one another."""
    return _draw(number, generator, on_test_side=False, apart=False)


def test_patches(number: int, generator: np.random.Generator) -> list[Patch]:
    """Patches from the right sides of the photographs, none overlapping another."""
    return _draw(number, generator, on_test_side=True, apart=True)


test_patches.__test__ = False  # type: ignore[attr-defined]  # pytest would take the name for a test


def render(patches: Sequence[Patch]) -> NDArray[np.float32]:
    """The patches as images (N, 1, 32, 32) in [-1, 1]."""
    return np.stack([_pixels(patch) for patch in patches])[:, None].astype(np.float32)


def sides(width: int) -> tuple[int, int]:
    """Where the training side of a photograph ends and the test side begins, in pixels from the left."""
    test_begins = width - round(TEST_SHARE * width)
    return test_begins - GAP, test_begins


def _stretched(picture: NDArray[Any]) -> NDArray[np.float64]:
    grey = picture @ _LUMINANCE if picture.ndim == 3 else picture.astype(np.float64)
    low, high = np.percentile(grey, [1, 99])
    return np.asarray(np.clip(2 * (grey - low) / (high - low) - 1, -1, 1))


def _draw(number: int, generator: np.random.Generator, *, on_test_side: bool, apart: bool) -> list[Patch]:
    names = list(photographs())
    chosen: dict[Patch, None] = {}
    while len(chosen) < number:
        scale = int(generator.choice(SCALES, p=SCALE_WEIGHTS))
        patch = _place(names[generator.integers(len(names))], scale, generator, on_test_side=on_test_side)
        if _pixels(patch).std() < LEAST_CONTRAST or (apart and any(patch.overlaps(other) for other in chosen)):
            continue
        chosen[patch] = None
    return list(chosen)


def _place(name: str, scale: int, generator: np.random.Generator, *, on_test_side: bool) -> Patch:
    height, width = photographs()[name].shape
    training_ends, test_begins = sides(width)
    left, right = (test_begins, width) if on_test_side else (0, training_ends)
    size = scale * IMAGE_SIZE
    return Patch(
        name, int(generator.integers(height - size + 1)), int(generator.integers(left, right - size + 1)), scale
    )


def _pixels(patch: Patch) -> NDArray[np.float64]:
    picture = photographs()[patch.photograph]
    box = picture[patch.top : patch.top + patch.width, patch.left : patch.left + patch.width]
    blocks = box.reshape(IMAGE_SIZE, patch.scale, IMAGE_SIZE, patch.scale)
    return np.asarray(blocks.mean(axis=(1, 3)))
