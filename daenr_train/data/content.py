"""Content as bytes and hashes, such that equal numbers give equal bytes on every machine."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def canonical_bytes(array: NDArray[np.float32]) -> bytes:
    """The bytes of an array, little-endian, with one zero (no -0) and one NaN.

    Args:
        array: float32 of any shape.
    """
    canonical = np.where(np.isnan(array), np.float32(np.nan), array) + np.float32(0)  # -0 + 0 is +0
    return np.ascontiguousarray(canonical, dtype="<f4").tobytes()


def image_hashes(images: NDArray[np.float32]) -> list[bytes]:
    """One hash per image; equal images have equal hashes.

    Args:
        images: (N, 1, 32, 32).
    """
    return [hashlib.sha256(canonical_bytes(image)).digest() for image in images]
