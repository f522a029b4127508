"""What a report is made of: a result, its raw samples where they are there, answers of the bundle where it is given."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daenr_bench.measurement import Measurement
from daenr_bench.report.golden import GoldenCheck
from daenr_bench.result import Result, SamplesFile
from daenr_common.errors import DaenrError
from daenr_common.files import sha256_of
from daenr_export.graphs.names import in_order

_MOST_BYTES = 2**30
_COLOURS = 8

Samples = Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Source:
    """A result and what belongs to it.

    Attributes:
        result: of a benchmark.
        samples: the arrays of the npz by key; empty if it is not there.
        no_samples: why there are none, in words; None if there are.
        golden: answers to the bundle's golden images; None if the bundle was not given.
    """

    result: Result
    samples: Samples
    no_samples: str | None
    golden: GoldenCheck | None = None

    def array(self, measurement: Measurement, name: str) -> NDArray[np.int64] | None:
        """Raw samples of a measurement `(N,)` without the places that hold no value; None if they are not there."""
        values = self.samples.get(measurement.samples.get(name, ""))
        if values is None or values.dtype != np.int64:
            return None
        return values[values >= 0]

    def frames(self, measurement: Measurement) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Due instants and answers of all frames on a schedule, each `(N,)`; -1 for no answer; None if not there."""
        found = [self.samples.get(measurement.samples.get(name, "")) for name in ("due_ns", "end_ns")]
        due_ns, end_ns = found
        if due_ns is None or end_ns is None or due_ns.ndim != 1 or due_ns.shape != end_ns.shape or not due_ns.size:
            return None
        if due_ns.dtype != np.int64 or end_ns.dtype != np.int64:
            return None
        return due_ns, end_ns

    @property
    def backends(self) -> list[str]:
        """Those that were compared or measured, in their order."""
        result = self.result
        return list(dict.fromkeys([a.backend for a in result.accuracy] + [m.backend for m in result.measurements]))

    def titled(self, backend: str) -> str:
        """A backend's name in a table, which says of a peer that it is one."""
        return f"{backend} (peer)" if backend in self.result.peers else backend

    @property
    def graphs(self) -> list[str]:
        """Those that were compared or measured, in the order of the model's parts."""
        result = self.result
        return in_order({a.graph for a in result.accuracy} | {m.graph for m in result.measurements})

    def style(self, backend: str) -> str:
        """The class of a backend's colour and line: the same in all charts."""
        again, index = divmod(self.backends.index(backend), _COLOURS)
        return f"s{index} again" if again else f"s{index}"

    def of(self, *scenarios: str) -> list[Measurement]:
        """Measurements of scenarios, by graph and backend."""
        graphs, backends = self.graphs, self.backends
        found = [m for m in self.result.measurements if m.scenario in scenarios]
        return sorted(found, key=lambda m: (graphs.index(m.graph), backends.index(m.backend)))


def read_source(path: Path) -> Source:
    """Read a result and the samples beside it.

    Args:
        path: the JSON file that `daenr-bench run` wrote.

    Raises:
        DaenrError: it is missing, or not a result that this daenr knows.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise DaenrError(path, "does not exist", "give the file that daenr-bench run --json wrote") from error
    except (OSError, UnicodeDecodeError) as error:
        problem = f"cannot be read ({getattr(error, 'strerror', None) or 'it is not text'})"
        raise DaenrError(path, problem, "give the file that daenr-bench run --json wrote") from error
    result = Result.from_json(text, path)
    samples, no_samples = _samples(result.samples, path.parent)
    return Source(result, samples, no_samples)


def _samples(file: SamplesFile | None, folder: Path) -> tuple[Samples, str | None]:
    if file is None:
        return {}, "the result was written without its raw samples"
    if Path(file.file).name != file.file:
        return {}, f"the raw samples are said to be at {file.file}, which is not beside the result"
    path = folder / file.file
    try:
        if path.stat().st_size > _MOST_BYTES:
            return {}, f"{file.file} is larger than 1 GiB"
        content = path.read_bytes()
    except OSError as error:
        return {}, f"{file.file} is not beside the result ({error.strerror})"
    if sha256_of(content) != file.sha256:
        return {}, f"{file.file} is not the file that belongs to this result: its sha256 differs"
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}, None
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        return {}, f"{file.file} cannot be read ({' '.join(str(error).split())})"
