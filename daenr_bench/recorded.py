"""Recorded responses to a bundle's golden images, found in the recording that the model was fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daenr_bench.standard import RecordingId
from daenr_common.errors import RecordingError
from daenr_export.bundle import Manifest
from daenr_export.specs import Array
from daenr_train.data import Recording, open_recording

_ROUNDING = 1e-5
"""By how much a golden image may differ from the recording's: a recording may be resampled when it is read."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """Responses `(repeats, N, M)` to N golden images, NaN where there is none, and where they come from."""

    responses: Array
    identity: RecordingId


def recorded_responses(path: Path, region: str | None, manifest: Manifest, images: Array) -> Recorded:
    """The responses to golden images.

    Args:
        path: a recording of any layout.
        region: which of its regions; None for the one that the model was fitted to.
        manifest: of the bundle.
        images: `(N, 1, 32, 32)` in [-1, 1], as the bundle has them.

    Raises:
        RecordingError: the recording cannot be read, has other neurons, or was shown other images.
    """
    fitted = manifest.checkpoint.recording
    recording = open_recording(path, region or fitted.region)
    _require_neurons(path, recording, manifest)
    half_a_pixel = manifest.preprocessing.scale / 2 if manifest.preprocessing.input_dtype == "uint8" else 0.0
    rows = [_row(image, recording.test_images, half_a_pixel + _ROUNDING) for image in images]
    found = [row for row in rows if row is not None]
    if len(found) < len(images):
        raise RecordingError(
            path,
            f"has {len(found)} of the bundle's {len(images)} golden images among its test images",
            f"give the recording that the model was fitted to ({fitted.region}, from {fitted.source})",
        )
    is_the_models = recording.fingerprint == fitted.fingerprint
    identity = RecordingId(recording.region, recording.fingerprint, is_the_models, recording.n_repeats)
    return Recorded(recording.test_responses[:, found].astype(np.float64), identity)


def _require_neurons(path: Path, recording: Recording, manifest: Manifest) -> None:
    if recording.neuron_ids == manifest.neuron_ids:
        return
    problem = f"has {recording.n_neurons} neurons in {recording.region} that are not the bundle's"
    if not manifest.neuron_ids:
        raise RecordingError(path, "holds responses, and the bundle's model predicts none", "leave --data out")
    fitted = manifest.checkpoint.recording
    raise RecordingError(
        path,
        f"{problem} {len(manifest.neuron_ids)}",
        f"give the recording that the model was fitted to ({fitted.region}, from {fitted.source})",
    )


def _row(image: Array, candidates: Array, tolerance: float) -> int | None:
    """The row of the image that is nearest, if it is near enough."""
    distance = np.abs(candidates - image).max((1, 2, 3))
    nearest = int(distance.argmin())
    return nearest if distance[nearest] <= tolerance else None
