"""Which training images are kept aside to decide when to stop."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daenr_common.errors import RecordingError, SpecError
from daenr_train.data.content import image_hashes
from daenr_train.data.recording import Recording


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of a recording's training images.

    Args:
        train_indices: rows to fit on, ascending.
        validation_indices: rows to decide on when to stop, ascending.
        fingerprint: SHA-256 over the recording's fingerprint and both index sets, as hexadecimal digits.
    """

    train_indices: NDArray[np.int64]
    validation_indices: NDArray[np.int64]
    fingerprint: str


def split(recording: Recording, validation_fraction: float = 0.2, seed: int = 0) -> Split:
    """Divide the training images at random, with all showings of an image on the same side.

    Args:
        recording: the recording; its test images are not touched.
        validation_fraction: the share of rows to keep aside, strictly between 0 and 1; at least one image is
            left on either side.
        seed: the same seed divides the same recording in the same way.

    Raises:
        SpecError: the fraction is not strictly between 0 and 1, or the seed is negative.
        RecordingError: the recording has fewer than two different training images.
    """
    if not 0 < validation_fraction < 1:
        problem = f"is {validation_fraction}, expected a number strictly between 0 and 1"
        raise SpecError("validation_fraction", problem, "use e.g. 0.2")
    if seed < 0:
        raise SpecError("seed", f"is {seed}, expected a number ≥ 0", "use e.g. 0")
    groups = _rows_of_each_image(recording)
    if len(groups) < 2:
        problem = "has only one different training image, expected at least two"
        raise RecordingError(recording.source or "recording", problem, "record more images")
    order = np.random.default_rng(seed).permutation(len(groups))
    wanted = validation_fraction * recording.n_images
    validation: list[int] = []
    for group in order[:-1]:  # one image is always left to train on
        if validation and len(validation) + len(groups[group]) / 2 > wanted:
            break
        validation += groups[group]
    validation_indices = np.array(sorted(validation), dtype=np.int64)
    train_indices = np.setdiff1d(np.arange(recording.n_images, dtype=np.int64), validation_indices)
    return Split(train_indices, validation_indices, _fingerprint(recording, train_indices, validation_indices))


def _rows_of_each_image(recording: Recording) -> list[list[int]]:
    rows: dict[bytes, list[int]] = {}
    for row, digest in enumerate(image_hashes(recording.images)):
        rows.setdefault(digest, []).append(row)
    return list(rows.values())


def _fingerprint(recording: Recording, train: NDArray[np.int64], validation: NDArray[np.int64]) -> str:
    content = {"recording": recording.fingerprint, "train": train.tolist(), "validation": validation.tolist()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
