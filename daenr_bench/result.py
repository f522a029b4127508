"""The result of a benchmark: each class here is one object of its JSON file, whose layout `result.schema.json` gives.

The objects of single measurements are in `daenr_bench.measurement`; the raw samples are in an npz beside the JSON.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from daenr_bench.machine import Machine
from daenr_bench.measurement import Measurement
from daenr_bench.migration import migrated
from daenr_bench.standard import Standard
from daenr_common.errors import DaenrError
from daenr_common.strict_json import FieldError, decode, encode, packaged
from daenr_common.verdict import Verdict, overall
from daenr_export.verification.science import Finding

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class BundleId:
    """Which bundle was measured: its folder's name, its model, and the digests of its manifest and its checkpoint."""

    name: str
    model: str
    manifest_sha256: str
    checkpoint_sha256: str


@dataclass(frozen=True)
class Settings:
    """How it was measured.

    Attributes:
        seed: decided which timed answers were compared.
        percentile_definition: how a percentile is picked.
        upper_bound_definition: what its upper bound means.
        scenarios: by name, the settings of each: numbers and texts.
    """

    seed: int
    percentile_definition: str
    upper_bound_definition: str
    scenarios: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Overhead:
    """What harness and machine take for a timed call: the same loop around a function that does nothing.

    It is part of every latency and was not subtracted.
    """

    calls: int
    p50_ns: int
    p99_ns: int


@dataclass(frozen=True)
class ClockUse:
    """The clock that everything was timed with.

    Attributes:
        name: of the function that reads it.
        resolution_ns: its smallest step as the system tells it; None where it does not.
        wall_clock_step_s: by how much the wall clock was set forward or back during the run. It changes no figure.
    """

    name: str
    resolution_ns: int | None
    wall_clock_step_s: float


@dataclass(frozen=True)
class Parity:
    """How far one output of a graph is from the reference, answered in batches of one size.

    Attributes:
        output: its name.
        batch: size of the batches.
        metrics: what was measured, by name; empty if the answers could not be compared.
        margins: of the metrics that are judged: the tolerances of the bundle's manifest.
        verdict: `pass` or `fail`.
        problems: what is beyond its margin.
    """

    output: str
    batch: int
    metrics: dict[str, float]
    margins: dict[str, float]
    verdict: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Accuracy:
    """Whether a graph on a backend still answers as the checkpoint did. Only what does is timed.

    Attributes:
        graph: its name.
        backend: its name.
        precision: what was run computes in.
        against: where the reference comes from: `golden file` or `saved run`.
        verdict: `pass` or `fail`.
        problems: what is wrong with its answers.
        parity: one for each output and batch size.
        science: one for each margin that its outputs have; none in a result of schema version 1.
        by_neuron: what is in the npz: by name of a figure, the key that it has there.
    """

    graph: str
    backend: str
    precision: str
    against: str
    verdict: str
    problems: tuple[str, ...]
    parity: tuple[Parity, ...]
    science: tuple[Finding, ...]
    by_neuron: dict[str, str]

    def worst(self, metric: str) -> float | None:
        """The largest value of a metric over outputs and batch sizes; None where there is none."""
        return max((parity.metrics[metric] for parity in self.parity if metric in parity.metrics), default=None)


@dataclass(frozen=True)
class Entrant:
    """What took part, and how it was run.

    Attributes:
        backend: its name.
        is_peer: whether it is there for comparison only, so that the verdict is not about it.
        settings: of a peer, in words; None for a backend of the bundle.
        documentation: address of the page that recommends a peer's settings.
        threads: of the processor, that answer a batch; None where that is not known, or the device does it.
        opening_s: by graph, how long opening took: reading, optimising, compiling. It is in no timed call.
    """

    backend: str
    is_peer: bool
    settings: str | None
    documentation: str | None
    threads: int | None
    opening_s: dict[str, float]


@dataclass(frozen=True)
class Skip:
    """A backend that was not measured, on one graph or (`graph` is None) on all, and why."""

    backend: str
    graph: str | None
    reason: str


@dataclass(frozen=True)
class SamplesFile:
    """The npz with raw samples, int64 nanoseconds; `Measurement.samples` has the keys. -1 where there is no value.

    `burst`: `latency_ns` `(rounds, calls)`. `paced`: `due_ns`, `start_ns`, `end_ns` `(frames,)`, from one zero. Both
    have `device_ns` `(calls,)` where a backend tells its device's own time.
    `cold`: an array `(repeats,)` for each stage. `throughput`: `batch_<size>_ns` `(calls,)`.
    `soak`: `missed_due_ns`, `missed_latency_ns`.

    Figures by neuron are float64 `(M,)`, NaN where a neuron has none; `Accuracy.by_neuron` has the keys. Where a run
    saved the answers of its reference they are there too, as `answers.<graph>.<output>`, and `recorded.responses`.
    """

    file: str
    sha256: str


@dataclass(frozen=True)
class Result:
    """The content of the JSON file.

    Attributes:
        bundle: what was measured.
        started_at: UTC, ISO 8601.
        complete: whether the run came to its end.
        settings: how it was measured.
        overhead: of the harness, by the loop that times: `burst`, `paced`; and of this machine as `waking`: on the
            schedule of `paced`, in turns with the engines, from the instant a frame was due.
        clock: that was read.
        reference_backend: what `times_faster` refers to; None if neither PyTorch nor onnxruntime was measured.
        standard: what answers were held against; None in a result of schema version 1.
        entrants: what took part; empty in a result of schema version 1.
        accuracy: one for each graph and backend.
        measurements: one for each graph, backend and scenario.
        skipped: what was not measured, and why.
        machine: where it was measured.
        packages: versions by name.
        samples: where the raw samples are; None if they were not written.
        schema_version: of this layout.
    """

    bundle: BundleId
    started_at: str
    complete: bool
    settings: Settings
    overhead: dict[str, Overhead]
    clock: ClockUse
    reference_backend: str | None
    standard: Standard | None
    entrants: tuple[Entrant, ...]
    accuracy: tuple[Accuracy, ...]
    measurements: tuple[Measurement, ...]
    skipped: tuple[Skip, ...]
    machine: Machine
    packages: dict[str, str]
    samples: SamplesFile | None = None
    schema_version: int = SCHEMA_VERSION

    @property
    def peers(self) -> frozenset[str]:
        """Names of what took part for comparison only."""
        return frozenset(entrant.backend for entrant in self.entrants if entrant.is_peer)

    @property
    def verdict(self) -> Verdict:
        """FAIL if an answer was wrong, a backend died or a deadline that was asked for is missed.

        Else PASS if at least one measurement was made, else CANNOT_TELL. What a peer does wrong is not a fault of what
        is measured, and so no FAIL.
        """
        wrong = [(a.backend, Verdict.FAIL) for a in self.accuracy if Verdict(a.verdict) is Verdict.FAIL]
        found = [*wrong, *((m.backend, verdict) for m in self.measurements for verdict in m.verdicts)]
        return overall(
            Verdict.CANNOT_TELL if verdict is Verdict.FAIL and backend in self.peers else verdict
            for backend, verdict in found
        )

    def json_text(self) -> str:
        """The result as a JSON document."""
        document = encode(self) | {"verdict": self.verdict.value}
        return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, source: object = "result") -> Result:
        """Read what `json_text` wrote, or what version 1 of the schema held.

        Args:
            text: the JSON document.
            source: where it comes from, for messages.

        Raises:
            DaenrError: it is not a result, or of a schema version that this daenr does not know.
        """
        remedy = "give a file that daenr-bench run wrote, or run it again"
        try:
            document = migrated(json.loads(text), SCHEMA_VERSION)
            verdict = document.pop("verdict", None)
            result = decode(cls, document)
            if verdict != result.verdict.value:
                raise FieldError("verdict", f"is {verdict!r}, and the measurements say {result.verdict.value!r}")
        except (FieldError, ValueError) as error:
            raise DaenrError(source, str(error), remedy) from error
        return result


def schema() -> dict[str, Any]:
    """The JSON Schema of the file."""
    return packaged(__package__, "result.schema.json")
