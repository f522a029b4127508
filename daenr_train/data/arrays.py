"""Reading numpy files that may be truncated, foreign or hostile: the array, or one error that names the file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daenr_common.errors import RecordingError


def read_npy(path: Path) -> NDArray[Any]:
    """The array in a .npy file.

    Raises:
        RecordingError: the file is absent, truncated, or holds something else than an array of plain values.
    """
    content = _load(path)
    if isinstance(content, dict):
        raise RecordingError(path, "is an archive, expected a single .npy array", "give the .npy file itself")
    return content


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays in a .npz archive, by name.

    Raises:
        RecordingError: the file is absent, truncated, or not an archive of arrays of plain values.
    """
    content = _load(path)
    if not isinstance(content, dict):
        raise RecordingError(path, "is a single array, expected an .npz archive", "write it with numpy.savez")
    foreign = [key for key, value in content.items() if not isinstance(value, np.ndarray)]
    if foreign:
        raise RecordingError(path, f"member {foreign[0]!r} is not an array", "write the file with numpy.savez")
    return content


def _load(path: Path) -> NDArray[Any] | dict[str, Any]:
    if not path.is_file():
        raise RecordingError(path, "does not exist or is no file", "check the path")
    try:
        # numpy leaves a file open that it opened itself and could not read, so it is given an open one.
        with path.open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a damaged header makes numpy guess, and say so, before it fails
            content = np.load(stream, allow_pickle=False)
            return content if isinstance(content, np.ndarray) else {key: content[key] for key in content.files}
    # Damaged files make numpy, zipfile, zlib, tokenize and ast raise whatever they stumble over.
    except Exception as error:
        problem = f"cannot be read as numpy data ({error or type(error).__name__})"
        remedy = "it may be truncated, of another format or hold Python objects: fetch it anew"
        raise RecordingError(path, problem, remedy) from error
