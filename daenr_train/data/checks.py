"""What each field of a recording has to be, and the error that says so when it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daenr_common.errors import RecordingError
from daenr_train.data.content import image_hashes
from daenr_train.spec import IMAGE_SIZE

IMAGE_SHAPE = (1, IMAGE_SIZE, IMAGE_SIZE)
ROUNDING = 1e-6
"""An image may exceed [-1, 1] by this much, which scaling in floating point brings about; it is clipped."""

SCALING_REMEDY = "scale the images to [-1, 1], e.g. pixel / 127.5 - 1"


@dataclass(frozen=True)
class Where:
    """Names the place that a field came from.

    Args:
        source: the recording as a whole, e.g. its file; None for arrays that were made in memory.
        files: the file of a field where each field has its own.
    """

    source: str | None
    files: Mapping[str, str]

    def error(self, field: str, problem: str, remedy: str) -> RecordingError:
        """The error for a field, naming its file, or the source and the field, whichever says more."""
        subject = self.files.get(field) or (f"{self.source}: {field}" if self.source else field)
        return RecordingError(subject, problem, remedy)


def images(value: object, field: str, where: Where) -> NDArray[np.float32]:
    """Images (N, 1, 32, 32) in [-1, 1] as float32."""
    array = _numeric(value, field, where, whole_numbers=False, remedy=SCALING_REMEDY)
    if array.ndim != 4 or array.shape[1:] != IMAGE_SHAPE:
        problem = f"has shape {array.shape}, expected (number of images, 1, 32, 32)"
        raise where.error(field, problem, "resize the images to 32 × 32 and give them one grey channel")
    if len(array) == 0:
        raise where.error(field, "holds no image", "give at least one image")
    _finite(array, field, where)
    low, high = float(array.min()), float(array.max())
    if low < -1 - ROUNDING or high > 1 + ROUNDING:
        raise where.error(field, f"has values from {low:g} to {high:g}, expected -1 to 1", SCALING_REMEDY)
    return np.asarray(np.clip(array, -1, 1), dtype=np.float32)


def responses(value: object, field: str, shape: tuple[int, int], where: Where) -> NDArray[np.float32]:
    """Responses (images, neurons), finite and ≥ 0, as float32."""
    array = _numeric(value, field, where, whole_numbers=True)
    if array.ndim != 2:
        problem = f"has shape {array.shape}, expected {shape} (images, neurons)"
        raise where.error(field, problem, "give one row per image and one column per neuron")
    _counts(array.shape, shape, field, where)
    _finite(array, field, where)
    _not_negative(array, field, where)
    return _as_float32(array, field, where)


def repeated_responses(value: object, shape: tuple[int, int], where: Where) -> NDArray[np.float32]:
    """Test responses (repeats, images, neurons), ≥ 0 or NaN where a repeat is missing, as float32."""
    field = "test_responses"
    array = _numeric(value, field, where, whole_numbers=True)
    if array.ndim != 3 or len(array) == 0:
        problem = f"has shape {array.shape}, expected (repeats,) + {shape} (repeats, images, neurons)"
        raise where.error(field, problem, "give one row per repeat; responses[None] for a single repeat")
    _counts(array.shape[1:], shape, field, where)
    if np.isinf(array).any():
        raise where.error(field, "holds infinite values", "mark missing repeats with NaN and remove infinities")
    missing = np.isnan(array).all(axis=(0, 2))
    if missing.any():
        problem = f"has no response at all to test image {int(np.argmax(missing))}"
        raise where.error(field, problem, "leave images without any repeat out of test_images and test_responses")
    _not_negative(array, field, where)
    return _as_float32(array, field, where)


def neuron_ids(value: object, where: Where) -> tuple[str, ...]:
    """One name per neuron, all different."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        problem = f"is a {type(value).__name__}, expected a sequence of names"
        raise where.error("neuron_ids", problem, "give one name per neuron")
    ids = tuple(value)
    if not ids:
        raise where.error("neuron_ids", "names no neuron", "give at least one neuron")
    for identity in ids:
        name(identity, "neuron_ids", where)
    if len(set(ids)) != len(ids):
        twice = next(identity for identity in ids if ids.count(identity) > 1)
        raise where.error("neuron_ids", f"names neuron {twice!r} more than once", "give every neuron its own id")
    return ids


def name(value: object, field: str, where: Where) -> None:
    """A text of printable characters that survives every file format."""
    if not isinstance(value, str) or not value or not value.isprintable():
        problem = f"holds {value!r}, expected a text of printable characters"
        raise where.error(field, problem, "use plain names such as 'region1' or 'neuron-07'")


def no_common_image(train: NDArray[np.float32], test: NDArray[np.float32], where: Where) -> None:
    """No image stands in both sets, or the test would measure memory."""
    seen = {digest: index for index, digest in enumerate(image_hashes(train))}
    for index, digest in enumerate(image_hashes(test)):
        twin = seen.get(digest)
        if twin is not None:
            problem = f"test image {index} is also training image {twin}"
            raise where.error("test_images", problem, "remove it from the training images and their responses")


def _numeric(
    value: object, field: str, where: Where, *, whole_numbers: bool, remedy: str = "convert the array to float32"
) -> NDArray[Any]:
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise where.error(field, f"is not an array ({error})", "give a numpy array of numbers") from error
    accepted = "fiu" if whole_numbers else "f"
    if array.dtype.kind not in accepted:
        raise where.error(field, f"has dtype {array.dtype}, expected floating point", remedy)
    return array


def _counts(found: tuple[int, ...], expected: tuple[int, int], field: str, where: Where) -> None:
    for axis, (have, want) in enumerate(zip(found, expected, strict=True)):
        if have != want:
            what, other = (("images", "the images"), ("neurons", "neuron_ids"))[axis]
            problem = f"covers {have} {what}, but {other} are {want}"
            raise where.error(field, problem, "make sure that all files belong to the same recording")


def _finite(array: NDArray[Any], field: str, where: Where) -> None:
    bad = ~np.isfinite(array)
    if bad.any():
        problem = f"holds {int(bad.sum())} NaN or infinite values in {int(bad.reshape(len(bad), -1).any(1).sum())} rows"
        raise where.error(field, problem, "remove the images concerned, or fill the values in")


def _not_negative(array: NDArray[Any], field: str, where: Where) -> None:
    with np.errstate(invalid="ignore"):
        negative = array < 0
    if negative.any():
        problem = f"holds {int(negative.sum())} negative values, the least {float(array[negative].min()):g}"
        raise where.error(field, problem, "responses are rates ≥ 0: do not subtract a baseline or standardise them")


def _as_float32(array: NDArray[Any], field: str, where: Where) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        converted = array.astype(np.float32)
    if np.isinf(converted).any():
        raise where.error(field, "holds values beyond the range of float32", "check the unit of the responses")
    return converted
