"""The plain interchange file: a numpy archive with the fields of a recording by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daenr_common.errors import RecordingError
from daenr_common.files import atomic_file, refuse_to_overwrite
from daenr_train.data.arrays import read_npz as read_arrays
from daenr_train.data.recording import Recording

REQUIRED = ("images", "responses", "test_images", "test_responses")
OPTIONAL = ("neuron_ids", "region", "true_test_rates")


def read_npz(path: Path) -> Recording:
    """Open a recording from a .npz file.

    The file holds `images` (N, 1, 32, 32), `responses` (N, M), `test_images` (I, 1, 32, 32) and `test_responses`
    (R, I, M) as `Recording` describes them, and may hold `neuron_ids` (M texts or numbers; `n000`, `n001`, … if
    absent), `region` (a text; the file's name if absent) and `true_test_rates` (I, M). Other members are ignored.

    Raises:
        RecordingError: the file is absent, truncated or foreign, or its content makes no recording.
    """
    arrays = read_arrays(path)
    missing = [field for field in REQUIRED if field not in arrays]
    if missing:
        problem = f"lacks {', '.join(missing)}; it holds {', '.join(arrays) or 'nothing'}"
        raise RecordingError(path, problem, f"write it with {', '.join(REQUIRED)}")
    return Recording(
        images=arrays["images"],
        responses=arrays["responses"],
        test_images=arrays["test_images"],
        test_responses=arrays["test_responses"],
        neuron_ids=_neuron_ids(arrays, path),
        region=_region(arrays, path),
        true_test_rates=arrays.get("true_test_rates"),
        source=str(path),
    )


def write_npz(recording: Recording, path: Path, *, force: bool = False) -> Path:
    """Write a recording as a .npz file that `read_npz` opens with the same fingerprint.

    Args:
        recording: what to write.
        path: where to; it appears complete or not at all.
        force: replace a file that is there already.

    Raises:
        OutputExistsError: the file exists and `force` is false.
        DaenrError: the disk is full or the folder cannot be written to.
    """
    refuse_to_overwrite(path, force=force)
    fields: dict[str, NDArray[Any]] = {field: getattr(recording, field) for field in REQUIRED}
    fields["neuron_ids"] = np.array(recording.neuron_ids)
    fields["region"] = np.array(recording.region)
    if recording.true_test_rates is not None:
        fields["true_test_rates"] = recording.true_test_rates
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **fields)
    return path


def _neuron_ids(arrays: dict[str, NDArray[Any]], path: Path) -> tuple[str, ...]:
    ids = arrays.get("neuron_ids")
    if ids is None:
        responses = arrays["responses"]
        if responses.ndim != 2:
            problem = f"has shape {responses.shape}, expected (images, neurons)"
            raise RecordingError(f"{path}: responses", problem, "give one row per image and one column per neuron")
        return default_neuron_ids(responses.shape[1])
    if ids.ndim != 1 or ids.dtype.kind not in "Uiu":
        problem = f"has shape {ids.shape} and dtype {ids.dtype}, expected one text or whole number per neuron"
        raise RecordingError(f"{path}: neuron_ids", problem, "write numpy.array(['n0', 'n1', …])")
    return tuple(str(identity) for identity in ids)


def _region(arrays: dict[str, NDArray[Any]], path: Path) -> str:
    region = arrays.get("region")
    if region is None:
        return path.stem
    if region.size != 1 or region.dtype.kind != "U":
        problem = f"has shape {region.shape} and dtype {region.dtype}, expected one text"
        raise RecordingError(f"{path}: region", problem, "write numpy.array('region1')")
    return str(region.reshape(-1)[0])


def default_neuron_ids(n_neurons: int) -> tuple[str, ...]:
    """Names for neurons whose source has none: `n000`, `n001` and so on."""
    return tuple(f"n{index:03d}" for index in range(n_neurons))
