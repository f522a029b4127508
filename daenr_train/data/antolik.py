"""The recordings of Antolík et al. 2016, in the layout in which they were published.

    region1/  training_inputs.npy     (1800, 961)      31 × 31 pixels, flat, as grey level · 1e-6
              training_set.npy        (1800, 103)      one response per image and neuron
              validation_inputs.npy   (50, 961)        the test images, in spite of the name
              raw_validation_set.npy  (10, 50, 103)    the responses of each repeat
              validation_set.npy      (50, 103)        their average over repeats

Source: PLoS Comput Biol, doi 10.1371/journal.pcbi.1004927, supplement S1.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from daenr_common.errors import RecordingError
from daenr_train.data.arrays import read_npy
from daenr_train.data.recording import Recording
from daenr_train.data.resampling import resize

INPUTS, RESPONSES = "training_inputs.npy", "training_set.npy"
TEST_INPUTS, TEST_AVERAGE, TEST_REPEATS = "validation_inputs.npy", "validation_set.npy", "raw_validation_set.npy"

SIDE, UNIT, WHITE = 31, 1e-6, 255
"""Pixels along each side, file units per grey level, and the grey level of white."""

SUPPLEMENT = "supplement S1 of doi 10.1371/journal.pcbi.1004927"


@dataclass(frozen=True)
class PublishedFile:
    """A file as it was published: its size in bytes and its git blob id."""

    size: int
    blob_id: str


TRAINING_INPUTS = {
    "region1": PublishedFile(13_838_480, "25bd6a7def8597163033d762b81a8c1ebaee4ef5"),
    "region2": PublishedFile(9_686_960, "5651e3bdfe6d6f140d3236af14db0ddd1b56dd4d"),
    "region3": PublishedFile(13_838_480, "1ccc45c1c07c5002b9a01ca4793f03905eb2ce98"),
}
"""The published `training_inputs.npy` of each region."""


RECORDED: dict[str, dict[str, str]] = {
    "region1": {
        RESPONSES: "8310ad6e4730e87c67665268b7cc241f7fe08750",
        TEST_INPUTS: "90cec1e39be2fec8afa60a0e3efa26edd9144991",
        TEST_REPEATS: "bb035250a7d8d41845f3020873f1caaec3a7cd51",
    },
    "region2": {
        RESPONSES: "30b75833134777834421829d92d1e1c26a99f694",
        TEST_INPUTS: "90cec1e39be2fec8afa60a0e3efa26edd9144991",
        TEST_REPEATS: "003e9691a949d74138f93e9aa7fe8b6df590cca7",
    },
}
"""Git blob ids of the other published files, as far as they are known: those of region 3 are not."""


class TestSet(NamedTuple):
    """Test images (I, 1, 32, 32) in [-1, 1], and responses (R, I, M) to each repeat."""

    images: NDArray[np.float32]
    responses: NDArray[np.float32]


TestSet.__test__ = False  # type: ignore[attr-defined]  # pytest would take the name for a test


def is_region_folder(folder: Path) -> bool:
    """Whether a folder looks like one region of the published data."""
    return folder.is_dir() and any((folder / name).is_file() for name in (RESPONSES, TEST_REPEATS))


def read_antolik(folder: Path, *, verify: bool = False) -> Recording:
    """Open one region.

    Images are scaled from grey level · 1e-6 to [-1, 1] and resized from 31 × 31 to 32 × 32 by area. Responses
    are taken as they are.

    Args:
        folder: the region's folder, e.g. `Data/region1`.
        verify: also require `training_inputs.npy` to be the published file, byte for byte.

    Raises:
        RecordingError: a file is missing, truncated or foreign, or they do not belong together.
    """
    region = folder.resolve().name
    check_training_inputs(folder, published=verify)
    images = _images(folder / INPUTS)
    test = read_test_set(folder)
    n_neurons = test.responses.shape[2]
    files = {"images": INPUTS, "responses": RESPONSES, "test_images": TEST_INPUTS, "test_responses": TEST_REPEATS}
    return Recording(
        images=images,
        responses=read_npy(folder / RESPONSES),
        test_images=test.images,
        test_responses=test.responses,
        neuron_ids=tuple(f"{region}-n{index:03d}" for index in range(n_neurons)),
        region=region,
        source=str(folder),
        files={field: str(folder / name) for field, name in files.items()},
    )


def read_test_set(folder: Path) -> TestSet:
    """Read the test images and responses of one region; its training files may be absent.

    Raises:
        RecordingError: a file is missing, truncated or foreign, or `validation_set.npy` is not the average of
            `raw_validation_set.npy` over repeats.
    """
    images = _images(folder / TEST_INPUTS)
    repeats, average = _floating(folder / TEST_REPEATS), _floating(folder / TEST_AVERAGE)
    if repeats.ndim != 3 or len(repeats) == 0:
        problem = f"has shape {repeats.shape}, expected (repeats, images, neurons)"
        raise RecordingError(folder / TEST_REPEATS, problem, f"take the file from {SUPPLEMENT}")
    if repeats.shape[1] != len(images):
        problem = f"covers {repeats.shape[1]} images, but {TEST_INPUTS} holds {len(images)}"
        raise RecordingError(folder / TEST_REPEATS, problem, "take both files from the same region")
    with np.errstate(over="ignore", invalid="ignore"):
        matches = average.shape == repeats.shape[1:] and np.allclose(
            repeats.mean(axis=0), average, rtol=1e-5, atol=1e-6
        )
        if not matches:
            problem = f"is not the average of {TEST_REPEATS} over repeats"
            raise RecordingError(folder / TEST_AVERAGE, problem, "take both files from the same region")
        return TestSet(images, repeats.astype(np.float32))


def check_training_inputs(folder: Path, *, published: bool = True) -> None:
    """Check that the training images of a region are there and are not those of another region.

    Args:
        folder: the region's folder.
        published: also require them to be the published file, byte for byte.

    Raises:
        RecordingError: the file is missing (the message says its size and git blob id), belongs to another region, or
            is not the published file.
    """
    path, expected = folder / INPUTS, TRAINING_INPUTS.get(folder.resolve().name)
    identity = f" ({expected.size:,} bytes, git blob id {expected.blob_id})" if expected else ""
    if not path.is_file():
        raise RecordingError(path, f"is missing{identity}", f"copy it from {SUPPLEMENT}, unmodified")
    found = git_blob_id(path)
    for region, file in TRAINING_INPUTS.items():
        if found == file.blob_id and file is not expected:
            raise RecordingError(path, f"is the published file of {region}", f"put it into a folder named {region}")
    if published and (expected is None or found != expected.blob_id):
        problem = f"has {path.stat().st_size:,} bytes and git blob id {found}, expected the published file{identity}"
        raise RecordingError(path, problem, f"copy it from {SUPPLEMENT}, unmodified")


def is_published(folder: Path) -> bool:
    """Whether a folder holds a region as it was published, byte for byte, in every file whose blob id is known."""
    region = folder.resolve().name
    inputs = TRAINING_INPUTS.get(region)
    if inputs is None or not is_region_folder(folder):
        return False
    known = {INPUTS: inputs.blob_id} | RECORDED.get(region, {})
    return all((folder / name).is_file() and git_blob_id(folder / name) == blob for name, blob in known.items())


def git_blob_id(path: Path) -> str:
    """The id under which git stores a file, as 40 hexadecimal digits."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecordingError(path, f"cannot be read ({error.strerror})", "correct its permissions") from error
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _images(path: Path) -> NDArray[np.float32]:
    flat = _floating(path)
    if flat.ndim != 2 or flat.shape[1] != SIDE * SIDE or len(flat) == 0:
        problem = f"has shape {flat.shape}, expected (images, {SIDE * SIDE})"
        raise RecordingError(path, problem, f"take the file from {SUPPLEMENT}")
    low, high = (float(bound) for bound in (flat.min(), flat.max()))
    white = WHITE * UNIT
    if not (low >= -white * 1e-6 and high <= white * (1 + 1e-6)):  # also when either is NaN
        problem = f"has values from {low:g} to {high:g}, expected grey level · 1e-6, that is 0 to {white:g}"
        raise RecordingError(path, problem, "give the file as it was published, not rescaled")
    grey = flat.reshape(-1, SIDE, SIDE) / white
    return np.clip(2 * resize(grey) - 1, -1, 1)[:, None].astype(np.float32)


def _floating(path: Path) -> NDArray[Any]:
    array = read_npy(path)
    if array.dtype.kind != "f":
        raise RecordingError(path, f"has dtype {array.dtype}, expected float64", f"take the file from {SUPPLEMENT}")
    return array
