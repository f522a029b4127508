"""From measurements of candidates to a choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daenr_bench.measurement import Measurement, State
from daenr_bench.result import Result
from daenr_common.errors import DaenrError
from daenr_export.runtime.profile import Evidence

ALIKE = 1.1
"""Of two tails that differ by less than this factor, the difference is noise."""


@dataclass(frozen=True)
class Choice:
    """A backend, whether it is kept warm, and why."""

    backend: str
    keep_warm: bool
    reason: str


def evidence_of(result: Result) -> tuple[Evidence, ...]:
    """What each candidate was measured at; one whose answers are wrong has its problem in place of figures."""
    wrong = [
        Evidence(accuracy.backend, "accuracy", 0, None, None, "; ".join(accuracy.problems))
        for accuracy in result.accuracy
        if accuracy.problems
    ]
    return (*map(_evidence, result.measurements), *wrong)


def choose(evidence: Sequence[Evidence]) -> Choice:
    """The candidate with the shortest tail in the paced loop.

    What a rig waits for is the late frame, so p99 decides. Among tails that are alike (`ALIKE`), an engine that rests
    between frames goes before one that takes a core to keep warm, and then the median decides.

    Raises:
        DaenrError: no candidate was measured with enough frames for a p99.
    """
    paced = [e for e in evidence if e.scenario.startswith("paced") and e.p99_ns and e.p50_ns and not e.problem]
    if not paced:
        problem = "no candidate has a p99 in the paced loop"
        raise DaenrError("daenr-export tune", problem, "give more --samples, a lower --rate or a quieter machine")
    shortest_ns = min(e.p99_ns or 0 for e in paced)
    alike = [e for e in paced if (e.p99_ns or 0) <= ALIKE * shortest_ns]
    best = min(alike, key=lambda e: (e.scenario != "paced", e.p50_ns))
    how = "kept warm" if best.scenario != "paced" else "resting between frames"
    reason = f"p99 {(best.p99_ns or 0) / 1000:.0f} µs paced, {how}; the shortest of all is {shortest_ns / 1000:.0f} µs"
    return Choice(best.backend, best.scenario != "paced", reason)


def _evidence(measurement: Measurement) -> Evidence:
    latency = measurement.latency
    problem = "" if measurement.state == State.PASS.value else "; ".join(measurement.problems) or measurement.state
    if latency is None:
        return Evidence(measurement.backend, measurement.scenario, 0, None, None, problem or "not measured")
    p50_ns, p99_ns = (latency.percentiles[name].value_ns for name in ("p50", "p99"))
    return Evidence(measurement.backend, measurement.scenario, latency.n, p50_ns, p99_ns, problem)
