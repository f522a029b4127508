"""What `daenr-bench roofline` found: each class here is one object of its JSON file.

Times are in nanoseconds where a name ends in `_ns`, for one image.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from daenr_bench.machine import Machine
from daenr_bench.result import BundleId, Skip
from daenr_bench.roofline.counting import Work
from daenr_common.strict_json import encode
from daenr_common.verdict import Verdict

SCHEMA_VERSION = 1

WEIGHT_BYTES = {"fp32": 4, "bf16": 2, "int8": 1}
"""The precisions that have a limit, and the bytes of a weight in each."""


@dataclass(frozen=True)
class Rate:
    """Something a second, over rounds of the same work.

    Attributes:
        best: of the rounds. It is what the core can do: other programs and a lower clock only take from it.
        median: of the rounds.
        worst: of the rounds.
        rounds: how many.
    """

    best: float
    median: float
    worst: float
    rounds: int


@dataclass(frozen=True)
class Peak:
    """Multiply-adds a second of one kind of instruction, on one core, with all factors in registers.

    Attributes:
        precision: of the factors.
        instructions: the instruction set; empty if there is none that daenr measures.
        multiply_adds_per_s: None if it could not be measured.
        reason: why not; empty if it was.
    """

    precision: str
    instructions: str
    multiply_adds_per_s: Rate | None
    reason: str = ""


@dataclass(frozen=True)
class Reading:
    """How fast one core reads a buffer again and again.

    Attributes:
        level: where the buffer fits: `L1`, `L2`, `L3` or `memory`; None if the system does not tell its caches.
        level_bytes: size of that cache; None for memory.
        buffer_bytes: that were read in each pass; 0 if nothing was.
        bytes_per_s: None if it could not be measured.
        reason: why not; empty if it was.
    """

    level: str | None
    level_bytes: int | None
    buffer_bytes: int
    bytes_per_s: Rate | None
    reason: str = ""


@dataclass(frozen=True)
class LayerLimit:
    """The least time that a layer can take on one core: for its multiply-adds, and for reading its weights."""

    compute_ns: float
    read_ns: float

    @property
    def limit_ns(self) -> float:
        """The longer of both, since they can go on at the same time."""
        return max(self.compute_ns, self.read_ns)


@dataclass(frozen=True)
class Layer:
    """A layer: its work, and its limit by precision, without those whose peak is not known."""

    work: Work
    limits: dict[str, LayerLimit]


@dataclass(frozen=True)
class GraphLimit:
    """A graph at one precision.

    Attributes:
        weight_bytes: of all layers.
        reading: a buffer of as many bytes, which is what each call has to read.
        limit_ns: the sum over the layers; None if the peak of the precision is not known.
    """

    weight_bytes: int
    reading: Reading
    limit_ns: float | None


@dataclass(frozen=True)
class GraphRoofline:
    """A graph: its layers, and its limits by precision."""

    graph: str
    layers: tuple[Layer, ...]
    limits: dict[str, GraphLimit]

    @property
    def multiply_adds(self) -> int:
        """Of all layers."""
        return sum(layer.work.multiply_adds for layer in self.layers)


@dataclass(frozen=True)
class Share:
    """How much of a backend's time the limit explains.

    Attributes:
        graph: its name.
        backend: its name.
        precision: what it computes in.
        threads: that it was asked to use; the limit is divided by them.
        n: timed calls; 0 if there were none.
        p50_ns: their median, back to back, host to host.
        limit_ns: of as many cores at this precision.
        share: `limit_ns / p50_ns`: 1 is the limit of the direct method, more says that the backend multiplies less.
        reason: why there is no share; empty if there is one.
    """

    graph: str
    backend: str
    precision: str
    threads: int
    n: int
    p50_ns: int | None
    limit_ns: float | None
    share: float | None
    reason: str = ""


@dataclass(frozen=True)
class Roofline:
    """The content of the JSON file.

    Attributes:
        bundle: what was measured.
        started_at: UTC, ISO 8601.
        complete: false after Ctrl-C.
        peaks: of this core, one for each kind of instruction.
        readings: one for each cache, and memory.
        graphs: what each asks for, and its limits.
        shares: one for each graph and backend.
        answers: the verdict on the answers of the backends: `pass`, `fail` or `cannot tell`.
        skipped: backends that were not measured, and why.
        machine: that it was measured on.
        packages: versions by name.
        schema_version: of this layout.
    """

    bundle: BundleId
    started_at: str
    complete: bool
    peaks: tuple[Peak, ...]
    readings: tuple[Reading, ...]
    graphs: tuple[GraphRoofline, ...]
    shares: tuple[Share, ...]
    answers: str
    skipped: tuple[Skip, ...]
    machine: Machine
    packages: dict[str, str]
    schema_version: int = SCHEMA_VERSION

    @property
    def verdict(self) -> Verdict:
        """FAIL if a backend answered wrongly or died, else PASS if there is a share, else CANNOT_TELL."""
        if Verdict(self.answers) is Verdict.FAIL:
            return Verdict.FAIL
        return Verdict.PASS if any(share.share is not None for share in self.shares) else Verdict.CANNOT_TELL

    def json_text(self) -> str:
        """The document as JSON."""
        document = encode(self) | {"verdict": self.verdict.value}
        return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
