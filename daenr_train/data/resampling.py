"""Resizing images by averaging over area, which keeps their mean and never leaves their range."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daenr_train.spec import IMAGE_SIZE


def resize(images: NDArray[np.floating]) -> NDArray[np.float64]:
    """Images (N, H, W) as (N, 32, 32): each new pixel is the average of the area that it covers in the old image."""
    _, height, width = images.shape
    rows, columns = _overlaps(height), _overlaps(width)
    return np.asarray(rows @ images.astype(np.float64) @ columns.T)


def _overlaps(n_pixels: int) -> NDArray[np.float64]:
    """(32, n) shares of the old pixels in each new one; every row sums to 1."""
    edges = np.linspace(0, n_pixels, IMAGE_SIZE + 1)
    old = np.arange(n_pixels)
    covered = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    overlaps = np.maximum(covered, 0)
    return np.asarray(overlaps / overlaps.sum(axis=1, keepdims=True))
