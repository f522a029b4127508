"""Where in the image each neuron looks, for the fixed-mask readout."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from daenr_train.spec import IMAGE_SIZE

SMOOTHING_PIXELS = 2.0
"""Width of the Gaussian that smooths the energy of a receptive field before its centre is found."""


def spike_triggered_averages(
    images: NDArray[np.float32], responses: NDArray[np.float32], ridge: float = 1.0
) -> NDArray[np.float64]:
    """Spike-triggered averages, decorrelated.

    Natural images are correlated, and a plain spike-triggered average mostly shows that. Ridge regression of the
    responses on the pixels takes the correlation out (regularised inverse: Willmore & Smyth 2003).

    Args:
        images: `(N, 1, 32, 32)`.
        responses: `(N, M)`.
        ridge: strength of the regularisation, relative to the mean variance of a pixel times N.

    Returns:
        Receptive fields `(M, 32, 32)`, in responses per unit of intensity.
    """
    pixels = images.reshape(len(images), -1).astype(np.float64)
    pixels -= pixels.mean(0)
    centred = responses.astype(np.float64) - responses.mean(0)
    covariance = pixels.T @ pixels
    covariance[np.diag_indices_from(covariance)] += ridge * np.trace(covariance) / len(covariance)
    fields = np.linalg.solve(covariance, pixels.T @ centred)
    return np.asarray(fields.T.reshape(-1, IMAGE_SIZE, IMAGE_SIZE))


def fixed_masks(
    images: NDArray[np.float32], responses: NDArray[np.float32], height: int, width: int
) -> NDArray[np.float32]:
    """One spatial mask per neuron, at the resolution of the features: the energy of its receptive field.

    The energy of the decorrelated spike-triggered average is smoothed, brought to the features' resolution, and what
    lies below half its maximum is set to zero; each mask sums to one. A silent neuron gets a uniform mask.

    Args:
        images: `(N, 1, 32, 32)`.
        responses: `(N, M)`.
        height: rows of the features.
        width: columns of the features.

    Returns:
        Masks `(M, height * width)`, non-negative.
    """
    energy = spike_triggered_averages(images, responses) ** 2
    smooth = gaussian_filter(energy, (0, SMOOTHING_PIXELS, SMOOTHING_PIXELS))
    blocks = smooth.reshape(len(smooth), height, IMAGE_SIZE // height, width, IMAGE_SIZE // width).mean((2, 4))
    masks = np.where(blocks >= 0.5 * blocks.max((1, 2), keepdims=True), blocks, 0.0).reshape(len(blocks), -1)
    sums = masks.sum(1, keepdims=True)
    uniform = np.full_like(masks, 1.0 / masks.shape[1])
    return np.where(sums > 0, masks / np.where(sums > 0, sums, 1.0), uniform).astype(np.float32)
