"""Reading numpy files that may be truncated, foreign or hostile: the array, or one error that names the file."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daenr_common.errors import RecordingError

_UNREADABLE = (
    ValueError, EOFError, OSError, KeyError, SyntaxError, MemoryError, OverflowError, NotImplementedError, RuntimeError,
    TypeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What numpy and zipfile raise on files that are not what their name says."""


def read_npy(path: Path) -> NDArray[Any]:
    """The array in a .npy file.

    Raises:
        RecordingError: the file is absent, truncated, or holds something else than an array of plain values.
    """
    content = _load(path)
    if not isinstance(content, np.ndarray):
        raise RecordingError(path, "is an archive, expected a single .npy array", "give the .npy file itself")
    return content


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays in a .npz archive, by name.

    Raises:
        RecordingError: the file is absent, truncated, or not an archive of arrays of plain values.
    """
    content = _load(path)
    if isinstance(content, np.ndarray):
        raise RecordingError(path, "is a single array, expected an .npz archive", "write it with numpy.savez")
    with content:
        try:
            members = {key: content[key] for key in content.files}
        except _UNREADABLE as error:
            raise _unreadable(path, error) from error
    foreign = [key for key, value in members.items() if not isinstance(value, np.ndarray)]
    if foreign:
        raise RecordingError(path, f"member {foreign[0]!r} is not an array", "write the file with numpy.savez")
    return members


def _load(path: Path) -> Any:
    if not path.is_file():
        raise RecordingError(path, "does not exist or is no file", "check the path")
    try:
        return np.load(path, allow_pickle=False)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: BaseException) -> RecordingError:
    problem = f"cannot be read as numpy data ({error or type(error).__name__})"
    return RecordingError(path, problem, "it may be truncated, of another format or hold Python objects: fetch it anew")
