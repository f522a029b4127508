"""What answers were held against, as the result file says it: margins, the reference, the recording."""

from __future__ import annotations

from dataclasses import dataclass, field

from daenr_bench.machine import Machine
from daenr_export.verification.margins import Margins
from daenr_export.verification.recorded import RecordingId


@dataclass(frozen=True)
class ReferenceSpeed:
    """What the reference took where it was measured: context, and nothing that a latency here is judged by."""

    graph: str
    backend: str
    scenario: str
    p50_ns: int


@dataclass(frozen=True)
class Reference:
    """A saved run whose answers were the reference.

    Attributes:
        file: its name.
        manifest_sha256: of the bundle that it was made from.
        started_at: UTC, ISO 8601.
        backends: by graph, the one that answered.
        machine: where.
        speeds: of the graphs and scenarios that were also measured here.
        speed_verdict: always `cannot tell`: neither faster nor slower can be said of two machines, or of two times.
        speed_reason: why; it names the differences.
    """

    file: str
    manifest_sha256: str
    started_at: str
    backends: dict[str, str]
    machine: Machine
    speeds: tuple[ReferenceSpeed, ...]
    speed_verdict: str
    speed_reason: str


@dataclass(frozen=True)
class Standard:
    """What answers were held against.

    Attributes:
        margins: of the science.
        margins_file: where they were declared; None for daenr's own.
        images: golden images that were answered.
        inputs_sha256: digests of what went in, by name: `image`, `encoder.features`.
        neuron_ids: in the order of the figures by neuron.
        recording: None without recorded responses.
        reference: None where the golden file was the reference.
        answers: by graph, the backend whose answers are in the npz, so that they can be a reference elsewhere; empty if
            they were not to be saved.
    """

    margins: Margins
    margins_file: str | None
    images: int
    inputs_sha256: dict[str, str]
    neuron_ids: tuple[str, ...]
    recording: RecordingId | None
    reference: Reference | None
    answers: dict[str, str] = field(default_factory=dict)
