"""The result of a benchmark: each class here is one object of its JSON file, whose layout `result.schema.json` gives.

Times are in nanoseconds where a name ends in `_ns`. The raw samples are in an npz beside the JSON.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from daenr_bench.machine import Machine
from daenr_bench.percentiles import Percentile
from daenr_common.errors import DaenrError
from daenr_common.strict_json import FieldError, decode, encode
from daenr_common.verdict import Verdict, overall

SCHEMA_VERSION = 1

BOUNDARY = (
    "host to host: the clock is read right before and right after one call of Session.run, which takes a C-contiguous "
    "array in host memory and returns arrays in host memory; copies to and from a device and waiting for it are "
    "inside, the runtime's check of the image is outside"
)


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
        batch: images in a call.
        calls_per_round: timed calls of a cell in a round.
        rounds: in which all cells had a turn.
        lead_in_calls: before each block, not counted.
        seed: decided which timed answers were compared.
        timing_boundary: what a latency holds, in words.
        percentile_definition: how a percentile is picked.
        upper_bound_definition: what its upper bound means.
    """

    batch: int
    calls_per_round: int
    rounds: int
    lead_in_calls: int
    seed: int
    timing_boundary: str
    percentile_definition: str
    upper_bound_definition: str


@dataclass(frozen=True)
class Overhead:
    """What the harness itself takes for a timed call: the same loop around a function that does nothing.

    It is part of every latency and was not subtracted.
    """

    calls: int
    p50_ns: int
    p99_ns: int


@dataclass(frozen=True)
class WarmUp:
    """Calls before the first that was timed, and whether the latency had settled by then."""

    calls: int
    settled: bool


@dataclass(frozen=True)
class Latency:
    """What was measured of a cell.

    Attributes:
        n: timed calls.
        min_ns: the fastest.
        mean_ns: over all.
        max_ns: the slowest.
        percentiles: by name, e.g. `p99`.
        round_p50_ns: the median of each round, which shows whether the machine was steady.
        times_faster: p50 of the same graph on the reference backend over this p50; None where there is no such cell.
    """

    n: int
    min_ns: int
    mean_ns: float
    max_ns: int
    percentiles: dict[str, Percentile]
    round_p50_ns: tuple[int, ...]
    times_faster: float | None


@dataclass(frozen=True)
class Measurement:
    """A graph on a backend.

    Attributes:
        graph: its name.
        backend: its name.
        precision: what was run computes in.
        scenario: how calls followed each other, e.g. `back to back`.
        verdict: `pass` or `fail`; `cannot tell` if the run ended before it.
        problems: what is wrong with its answers.
        parity: by output, how the answers compare with the golden file.
        timed_answers_compared: how many answers of timed calls were compared, too.
        warm_up: None if it was not reached.
        latency: None if nothing was timed: the answers were wrong, or the run ended before.
    """

    graph: str
    backend: str
    precision: str
    scenario: str
    verdict: str
    problems: tuple[str, ...]
    parity: dict[str, dict[str, float]]
    timed_answers_compared: int
    warm_up: WarmUp | None
    latency: Latency | None


@dataclass(frozen=True)
class Skip:
    """A backend that was not measured, on one graph or (`graph` is None) on all, and why."""

    backend: str
    graph: str | None
    reason: str


@dataclass(frozen=True)
class SamplesFile:
    """The npz with the raw samples: an int64 array `(rounds, calls)` in nanoseconds for each `<graph>.<backend>`."""

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
        overhead: of the harness.
        reference_backend: what `times_faster` refers to; None if neither PyTorch nor onnxruntime was measured.
        measurements: one for each graph and backend.
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
    overhead: Overhead
    reference_backend: str | None
    measurements: tuple[Measurement, ...]
    skipped: tuple[Skip, ...]
    machine: Machine
    packages: dict[str, str]
    samples: SamplesFile | None = None
    schema_version: int = SCHEMA_VERSION

    @property
    def verdict(self) -> Verdict:
        """FAIL if an answer was wrong, PASS if at least one cell was right and timed, else CANNOT_TELL."""
        return overall(Verdict(measurement.verdict) for measurement in self.measurements)

    def json_text(self) -> str:
        """The result as a JSON document."""
        document = encode(self) | {"verdict": self.verdict.value}
        return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, source: object = "result") -> Result:
        """Read what `json_text` wrote.

        Args:
            text: the JSON document.
            source: where it comes from, for messages.

        Raises:
            DaenrError: it is not a result of this schema version.
        """
        remedy = "give a file that daenr-bench run wrote, or run it again"
        try:
            document = json.loads(text)
            if not isinstance(document, dict):
                raise FieldError("the document", "is not an object")
            if document.get("schema_version") != SCHEMA_VERSION:
                problem = f"is {document.get('schema_version')!r}, this daenr reads {SCHEMA_VERSION}"
                raise FieldError("schema_version", problem)
            verdict = document.pop("verdict", None)
            result = decode(cls, document)
            if verdict != result.verdict.value:
                raise FieldError("verdict", f"is {verdict!r}, and the measurements say {result.verdict.value!r}")
        except (FieldError, ValueError) as error:
            raise DaenrError(source, str(error), remedy) from error
        return result


def schema() -> dict[str, Any]:
    """The JSON Schema of the file."""
    document: dict[str, Any] = json.loads((files(__package__) / "result.schema.json").read_text("utf-8"))
    return document
