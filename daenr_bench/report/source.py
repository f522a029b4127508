"""What a report is made of: a result, its raw samples where they are there, answers of the bundle where it is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daenr_bench.measurement import Measurement
from daenr_bench.report.golden import GoldenCheck
from daenr_bench.result import Accuracy, Result
from daenr_bench.result_files import Samples, read_samples
from daenr_common.files import read_text
from daenr_export.graphs.names import in_order

_COLOURS = 8


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

    def by_neuron(self, accuracy: Accuracy, name: str) -> NDArray[np.float64] | None:
        """A figure of each neuron `(M,)`, NaN where one has none; None if it is not there."""
        values = self.samples.get(accuracy.by_neuron.get(name, ""))
        expected = () if self.result.standard is None else (len(self.result.standard.neuron_ids),)
        if values is None or values.dtype != np.float64 or values.shape != expected:
            return None
        return values

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
    text = read_text(path, "give the file that daenr-bench run --json wrote")
    result = Result.from_json(text, path)
    samples, no_samples = read_samples(path, result)
    return Source(result, samples, no_samples)
