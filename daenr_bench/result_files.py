"""A result with its raw samples, and the two files that they go to."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daenr_bench.result import Result, SamplesFile
from daenr_common.errors import DaenrError
from daenr_common.files import atomic_file, check_output_file
from daenr_common.hashing import sha256_of

Samples = Mapping[str, NDArray[Any]]

_MOST_BYTES = 2**30


@dataclass(frozen=True)
class Report:
    """A result, and what goes into the npz beside it (`SamplesFile`): raw samples and figures by neuron."""

    result: Result
    samples: Samples

    def write(self, path: Path) -> Result:
        """Write the result as JSON, and the samples beside it as npz, and return the result as it was written."""
        samples_path = samples_beside(path)
        buffer = io.BytesIO()
        arrays: dict[str, Any] = dict(self.samples)
        np.savez_compressed(buffer, **arrays)
        result = replace(self.result, samples=SamplesFile(samples_path.name, sha256_of(buffer.getvalue())))
        with atomic_file(samples_path) as temporary:
            temporary.write_bytes(buffer.getvalue())
        with atomic_file(path) as temporary:
            temporary.write_text(result.json_text(), encoding="utf-8")
        return result


def samples_beside(path: Path) -> Path:
    """Where the samples go that belong to a JSON file: `results.samples.npz`, which no recording is called.

    Raises:
        DaenrError: the path is a folder, or is that of the samples itself.
    """
    if path.is_dir():
        raise DaenrError(path, "is a folder", "give the file that the result is written to")
    if path.suffix == ".npz":
        raise DaenrError(path, "is where the raw samples go", "give the result a name that ends in .json")
    return path.with_suffix(".samples.npz")


def read_samples(path: Path, result: Result) -> tuple[Samples, str | None]:
    """The arrays of the npz beside a result by their keys, and why there are none; None if there are.

    Args:
        path: the JSON file.
        result: its content.
    """
    file = result.samples
    if file is None:
        return {}, "the result was written without its raw samples"
    if Path(file.file).name != file.file:
        return {}, f"the raw samples are said to be at {file.file}, which is not beside the result"
    samples_path = path.with_name(file.file)
    try:
        if samples_path.stat().st_size > _MOST_BYTES:
            return {}, f"{file.file} is larger than 1 GiB"
        content = samples_path.read_bytes()
    except OSError as error:
        return {}, f"{file.file} is not beside the result ({error.strerror})"
    if sha256_of(content) != file.sha256:
        return {}, f"{file.file} is not the file that belongs to this result: its sha256 differs"
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}, None
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        return {}, f"{file.file} cannot be read ({' '.join(str(error).split())})"


def check_output(path: Path, *, force: bool) -> None:
    """See before measuring whether a result can be written: a measurement must not be lost at its very end.

    Raises:
        OutputExistsError: one of the two files exists and `force` is false.
        DaenrError: the path is a folder or cannot be written.
    """
    for output in (samples_beside(path), path):
        check_output_file(output, force=force)
