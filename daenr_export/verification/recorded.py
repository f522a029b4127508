"""Recorded responses to golden images, found in the recording that the model was fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daenr_common.errors import RecordingError
from daenr_export.bundle import RecordingEntry
from daenr_export.specs import Array
from daenr_train.data import Recording

_ROUNDING = 1e-5
"""By how much a golden image may differ from the recording's: a recording may be resampled when it is read."""


@dataclass(frozen=True)
class RecordingId:
    """The recording whose responses to the golden images were given.

    Attributes:
        region: its name.
        fingerprint: of its content.
        is_the_models: whether it is, number by number, the one that the model was fitted to.
        repeats: of each image, at most.
    """

    region: str
    fingerprint: str
    is_the_models: bool
    repeats: int


@dataclass(frozen=True, eq=False)
class Recorded:
    """Responses `(repeats, N, M)` to N golden images, NaN where there is none, and where they come from."""

    responses: Array
    identity: RecordingId


def recorded_responses(
    path: Path,
    recording: Recording,
    fitted: RecordingEntry,
    neuron_ids: tuple[str, ...],
    images: Array,
    rounded_by: float = 0.0,
) -> Recorded:
    """The responses to golden images.

    Args:
        path: of the recording, for messages.
        recording: which may hold them.
        fitted: the recording that the model was fitted to.
        neuron_ids: of the model.
        images: `(N, 1, 32, 32)` in [-1, 1].
        rounded_by: how far the images are from the recording's at most, such as half a pixel of uint8.

    Raises:
        RecordingError: the recording has other neurons, or was shown other images.
    """
    _require_neurons(path, recording, fitted, neuron_ids)
    found = find_images(path, recording, fitted, images, rounded_by)
    is_the_models = recording.fingerprint == fitted.fingerprint
    identity = RecordingId(recording.region, recording.fingerprint, is_the_models, recording.n_repeats)
    return Recorded(recording.test_responses[:, found].astype(np.float64), identity)


def find_images(
    path: Path, recording: Recording, fitted: RecordingEntry, images: Array, rounded_by: float = 0.0
) -> list[int]:
    """Which of a recording's test images golden images are. Arguments as of `recorded_responses`.

    Raises:
        RecordingError: an image is none of them.
    """
    rows = [_row(image, recording.test_images, rounded_by + _ROUNDING) for image in images]
    found = [row for row in rows if row is not None]
    if len(found) < len(images):
        raise RecordingError(
            path,
            f"has {len(found)} of the bundle's {len(images)} golden images among its test images",
            f"give the recording that the model was fitted to ({fitted.region}, from {fitted.source})",
        )
    return found


def _require_neurons(path: Path, recording: Recording, fitted: RecordingEntry, neuron_ids: tuple[str, ...]) -> None:
    """Raise RecordingError unless the neurons of a recording are those of a model."""
    if recording.neuron_ids == neuron_ids:
        return
    problem = f"has {recording.n_neurons} neurons in {recording.region} that are not the bundle's"
    if not neuron_ids:
        raise RecordingError(path, "holds responses, and the bundle's model predicts none", "leave --data out")
    raise RecordingError(
        path,
        f"{problem} {len(neuron_ids)}",
        f"give the recording that the model was fitted to ({fitted.region}, from {fitted.source})",
    )


def _row(image: Array, candidates: Array, tolerance: float) -> int | None:
    """The row of the image that is nearest, if it is near enough."""
    distance = np.abs(candidates - image).max((1, 2, 3))
    nearest = int(distance.argmin())
    return nearest if distance[nearest] <= tolerance else None
