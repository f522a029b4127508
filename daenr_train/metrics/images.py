"""How well reconstructions x̂ agree with images x, per image. All images are (I, 1, H, W) in [-1, 1]."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from daenr_common.errors import ImageError
from daenr_common.extras import require
from daenr_train.metrics.scores import number_or_none

Float64Array = NDArray[np.float64]

DATA_RANGE = 2.0
"""The span of pixel values, from -1 to 1."""


@dataclass(frozen=True, eq=False)
class ImageScores:
    """Agreement of every reconstruction with its image.

    Args:
        mse: (I,) mean squared error over pixels.
        psnr: (I,) peak signal-to-noise ratio in dB, infinite for an exact reconstruction.
        ssim: (I,) structural similarity, at most 1.
    """

    mse: Float64Array
    psnr: Float64Array
    ssim: Float64Array

    def summary(self) -> dict[str, float | int | None]:
        """Means over images, ready for JSON; exact reconstructions are counted and left out of the mean PSNR."""
        inexact = self.psnr[np.isfinite(self.psnr)]
        return {
            "mse": float(self.mse.mean()),
            "psnr": number_or_none(float(inexact.mean()) if len(inexact) else math.nan),
            "ssim": float(self.ssim.mean()),
            "n_images": len(self.mse),
            "n_exact": int(len(self.psnr) - len(inexact)),
        }


def mse(images: ArrayLike, reconstructions: ArrayLike) -> Float64Array:
    """Mean squared error over the pixels of each image, (I,).

    Raises:
        ImageError: the shapes differ or are not (I, 1, H, W), or a value is not finite.
    """
    x, y = _checked(images, reconstructions)
    return np.asarray(((x - y) ** 2).mean(axis=(1, 2, 3)))


def psnr(images: ArrayLike, reconstructions: ArrayLike) -> Float64Array:
    """Peak signal-to-noise ratio of each image in dB, 10 log10(range² / MSE) with a range of 2, (I,).

    Raises:
        ImageError: the shapes differ or are not (I, 1, H, W), or a value is not finite.
    """
    error = mse(images, reconstructions)
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(DATA_RANGE**2 / error))


def ssim(images: ArrayLike, reconstructions: ArrayLike) -> Float64Array:
    """Structural similarity of each image, (I,): Wang et al. 2004 with a 7 × 7 uniform window and a range of 2.

    Raises:
        ImageError: the shapes differ or are not (I, 1, H, W), H or W is below 7, or a value is not finite.
        MissingExtraError: scikit-image is not installed.
    """
    x, y = _checked(images, reconstructions)
    if min(x.shape[2:]) < 7:
        raise ImageError("images", f"has shape {x.shape}, too small for windows of 7 × 7", "give larger images")
    similarity = require("skimage.metrics", extra="train", purpose="the structural similarity")
    pairs = zip(x[:, 0], y[:, 0], strict=True)
    return np.array([similarity.structural_similarity(a, b, data_range=DATA_RANGE) for a, b in pairs], np.float64)


def score_images(images: ArrayLike, reconstructions: ArrayLike) -> ImageScores:
    """MSE, PSNR and SSIM of each reconstruction; `.summary()` is ready for JSON.

    Args:
        images: (I, 1, H, W) in [-1, 1].
        reconstructions: of the same shape.

    Raises:
        ImageError: the shapes differ or are not (I, 1, H, W), or a value is not finite.
        MissingExtraError: scikit-image is not installed.
    """
    arguments = images, reconstructions
    return ImageScores(mse(*arguments), psnr(*arguments), ssim(*arguments))


def _checked(images: ArrayLike, reconstructions: ArrayLike) -> tuple[Float64Array, Float64Array]:
    x, y = np.asarray(images, dtype=np.float64), np.asarray(reconstructions, dtype=np.float64)
    if x.ndim != 4 or x.shape[1] != 1 or x.size == 0:
        raise ImageError("images", f"has shape {x.shape}, expected (images, 1, height, width)", "add the missing axes")
    if x.shape != y.shape:
        raise ImageError(
            "reconstructions", f"has shape {y.shape}, but the images {x.shape}", "reconstruct the same images"
        )
    for name, array in (("images", x), ("reconstructions", y)):
        if not np.isfinite(array).all():
            raise ImageError(name, "holds NaN or infinite values", "check the model's weights and its input")
    return x, y
