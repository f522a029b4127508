"""A result with its raw samples, and the two files that they go to."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daenr_bench.result import Result, SamplesFile
from daenr_common.errors import DaenrError
from daenr_common.files import atomic_file, check_output_file, sha256_of


@dataclass(frozen=True)
class Report:
    """A result, and the raw samples: nanoseconds by the keys of `Measurement.samples`."""

    result: Result
    samples: dict[str, NDArray[np.int64]]

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


def check_output(path: Path, *, force: bool) -> None:
    """See before measuring whether a result can be written: a measurement must not be lost at its very end.

    Raises:
        OutputExistsError: one of the two files exists and `force` is false.
        DaenrError: the path is a folder or cannot be written.
    """
    for output in (samples_beside(path), path):
        check_output_file(output, force=force)
