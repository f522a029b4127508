"""The file tree of the Sensorium competitions and of neuralpredictors: one .npy file per trial.

data/images/0.npy …         (channels, height, width), 0 to 255
data/responses/0.npy …      (neurons,)
meta/trials/tiers.npy       one of train, validation, test, … per trial
meta/trials/frame_image_id.npy   which image was shown; optional
meta/neurons/unit_ids.npy   optional
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daenr_common.errors import RecordingError
from daenr_train.data.arrays import read_npy
from daenr_train.data.content import image_hashes
from daenr_train.data.npz import default_neuron_ids
from daenr_train.data.recording import Recording
from daenr_train.data.resampling import resize

TRAINING_TIERS, TEST_TIER = ("train", "validation"), "test"
"""`daenr_train.data.split` makes its own validation set, so both tiers count as training images.
Other tiers (final_test, live_test, …) are left alone: their responses are withheld."""

ENOUGH_NEURONS = 20
"""With this many neurons, a trial in which none responds is a withheld trial, not a coincidence."""


def is_sensorium_folder(folder: Path) -> bool:
    """Whether a folder looks like a Sensorium file tree."""
    return (folder / "data" / "images").is_dir() and (folder / "meta" / "trials").is_dir()


def read_sensorium(folder: Path) -> Recording:
    """Open a Sensorium file tree.

    Images are averaged over channels, squeezed as a whole to 32 × 32 by area (so that no receptive field is cut off;
    the aspect ratio is lost), and scaled to [-1, 1]: from 0…255, from 0…1, or not at all if they have negative values.
    Repeats of a test image are gathered into (R, I, M), with NaN where an image was shown less often than another.

    Raises:
        RecordingError: a file is missing, truncated or foreign; the tiers lack training or test trials; or the
            responses of a tier are withheld (all zero).
    """
    tiers = _tiers(folder)
    training, test = np.flatnonzero(np.isin(tiers, TRAINING_TIERS)), np.flatnonzero(tiers == TEST_TIER)
    for trials, what in ((training, " or ".join(TRAINING_TIERS)), (test, TEST_TIER)):
        if len(trials) == 0:
            problem = f"has no trial of tier {what}, only {', '.join(sorted(set(tiers.tolist()))) or 'none'}"
            raise RecordingError(folder / "meta/trials/tiers.npy", problem, "use a recording whose test set is public")
    used = np.concatenate([training, test])
    pixels, responses = _stack(folder, "images", used), _stack(folder, "responses", used)
    images = _scaled(pixels, folder)
    n_training = len(training)
    _refuse_withheld(folder, responses[:n_training], training)
    _refuse_withheld(folder, responses[n_training:], test)
    shown = _image_ids(folder, len(tiers))
    keys = _hashes_as_ids(images) if shown is None else shown[used]
    test_images, test_responses = _gather_repeats(
        images[n_training:], responses[n_training:], keys[n_training:], test, folder
    )
    return Recording(
        images=images[:n_training],
        responses=responses[:n_training],
        test_images=test_images,
        test_responses=test_responses,
        neuron_ids=_neuron_ids(folder, responses.shape[1]),
        region=folder.resolve().name,
        source=str(folder),
    )


def _tiers(folder: Path) -> NDArray[np.str_]:
    path = folder / "meta" / "trials" / "tiers.npy"
    tiers = read_npy(path)
    if tiers.ndim != 1 or tiers.dtype.kind not in "US":
        problem = f"has shape {tiers.shape} and dtype {tiers.dtype}, expected one text per trial"
        raise RecordingError(path, problem, "fetch the recording anew")
    return np.char.decode(tiers, "latin-1") if tiers.dtype.kind == "S" else tiers


def _stack(folder: Path, what: str, trials: NDArray[np.intp]) -> NDArray[np.float32]:
    """The arrays of some trials, one below the other; they must all have the same shape."""
    arrays: list[NDArray[Any]] = []
    for trial in trials:
        path = folder / "data" / what / f"{trial}.npy"
        array = read_npy(path)
        if array.dtype.kind not in "fiu" or (arrays and array.shape != arrays[0].shape):
            expected = arrays[0].shape if arrays else "numbers"
            problem = f"has shape {array.shape} and dtype {array.dtype}, expected {expected}"
            raise RecordingError(path, problem, "fetch the recording anew")
        arrays.append(array)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as such
        stacked = np.stack(arrays).astype(np.float32)
    expected_axes = (2,) if what == "responses" else (3, 4)
    if stacked.ndim not in expected_axes or 0 in stacked.shape:
        shape = "(neurons,)" if what == "responses" else "(channels, height, width)"
        problem = f"holds arrays of shape {stacked.shape[1:]}, expected {shape}"
        raise RecordingError(folder / "data" / what, problem, "fetch the recording anew")
    return stacked


def _refuse_withheld(folder: Path, responses: NDArray[np.float32], trials: NDArray[np.intp]) -> None:
    """Zeros stand in for responses that the competition keeps to itself; nobody should be fitted to them."""
    silent = ~responses.any(axis=1)
    if silent.all() or (silent.any() and responses.shape[1] >= ENOUGH_NEURONS):
        problem = (
            f"is zero for all {responses.shape[1]} neurons, as in {int(silent.sum())} of {len(trials)} trials: withheld"
        )
        path = folder / "data" / "responses" / f"{trials[np.argmax(silent)]}.npy"
        raise RecordingError(path, problem, "use a recording whose responses are public, or remove these trials")


def _scaled(pixels: NDArray[np.float32], folder: Path) -> NDArray[np.float32]:
    """Grey images (N, 1, 32, 32) in [-1, 1] from (N, H, W) or (N, channels, H, W)."""
    low, high = (float(bound) for bound in (pixels.min(), pixels.max()))
    grey = resize(pixels if pixels.ndim == 3 else pixels.mean(axis=1)) if np.isfinite(low + high) else pixels
    if low >= -1 and high <= 1:
        scaled = grey if low < 0 else 2 * grey - 1
    elif low >= 0 and high <= 255:
        scaled = grey / 127.5 - 1
    else:
        problem = f"have values from {low:g} to {high:g}, expected 0 to 255, 0 to 1 or -1 to 1"
        raise RecordingError(folder / "data" / "images", problem, "use the images before any standardisation")
    return np.clip(scaled, -1, 1)[:, None].astype(np.float32)


def _image_ids(folder: Path, n_trials: int) -> NDArray[Any] | None:
    path = folder / "meta" / "trials" / "frame_image_id.npy"
    if not path.is_file():
        return None
    ids = read_npy(path)
    if ids.shape != (n_trials,) or ids.dtype.kind not in "iufUS":
        problem = f"has shape {ids.shape} and dtype {ids.dtype}, expected one id for each of {n_trials} trials"
        raise RecordingError(path, problem, "fetch the recording anew")
    return ids


def _hashes_as_ids(images: NDArray[np.float32]) -> NDArray[Any]:
    return np.array([digest.hex() for digest in image_hashes(images)])


def _gather_repeats(
    images: NDArray[np.float32],
    responses: NDArray[np.float32],
    keys: NDArray[Any],
    trials: NDArray[np.intp],
    folder: Path,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Test images (I, 1, 32, 32) in order of their first showing, and responses (R, I, M) padded with NaN."""
    rows_of: dict[Any, list[int]] = {}
    for row, key in enumerate(keys.tolist()):
        rows_of.setdefault(key, []).append(row)
    n_repeats = max(len(rows) for rows in rows_of.values())
    gathered = np.full((n_repeats, len(rows_of), responses.shape[1]), np.nan)
    for index, rows in enumerate(rows_of.values()):
        different = [row for row in rows if not np.array_equal(images[row], images[rows[0]])]
        if different:
            problem = f"differs from {trials[rows[0]]}.npy, which has the same frame_image_id"
            path = folder / "data" / "images" / f"{trials[different[0]]}.npy"
            raise RecordingError(path, problem, "fetch the recording anew")
        gathered[: len(rows), index] = responses[rows]
    return images[[rows[0] for rows in rows_of.values()]], gathered.astype(np.float32)


def _neuron_ids(folder: Path, n_neurons: int) -> tuple[str, ...]:
    path = folder / "meta" / "neurons" / "unit_ids.npy"
    if not path.is_file():
        return default_neuron_ids(n_neurons)
    ids = read_npy(path)
    if ids.shape != (n_neurons,) or ids.dtype.kind not in "iuU":
        problem = f"has shape {ids.shape} and dtype {ids.dtype}, expected one id for each of {n_neurons} neurons"
        raise RecordingError(path, problem, "fetch the recording anew")
    return tuple(str(identity) for identity in ids)
