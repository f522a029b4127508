"""Measure all candidates on a bundle, choose, and write the machine profile."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from daenr_bench.plan import plan_of
from daenr_bench.result import Result, Skip
from daenr_bench.run import RIG_GRAPH, benchmark
from daenr_bench.tuning.candidates import candidates
from daenr_bench.tuning.choice import choose, evidence_of
from daenr_common.errors import BackendUnavailableError, DaenrError, Interrupted
from daenr_export.bundle import Bundle
from daenr_export.runtime import registry
from daenr_export.runtime.profile import MachineProfile, profile_path, this_kind


@dataclass(frozen=True)
class Tuned:
    """A profile, where it was written, and what it is made of."""

    profile: MachineProfile
    path: Path
    result: Result
    skipped: tuple[Skip, ...]


def tune(
    path: Path | str,
    *,
    graph: str | None = None,
    rate_hz: float = 100.0,
    samples: int = 700,
    keep_warm: bool = True,
) -> Tuned:
    """Find the backend that answers a bundle best on this machine, and note it beside the bundle.

    Args:
        path: the bundle.
        graph: its name; None for `responses`, or else the first.
        rate_hz: frames per second of the paced loop that decides.
        samples: frames of each candidate; a p99 needs 662.
        keep_warm: also try engines that run while the loop waits, for most of a core.

    Raises:
        BundleError: the bundle is damaged, or has no such graph.
        DaenrError: nothing could be measured well enough, or the profile cannot be written.
        Interrupted: by Ctrl-C; an older profile stays.
    """
    bundle = Bundle.open(path)
    names, skipped = candidates()
    if not names:
        raise DaenrError(path, "no backend can run here", "pip install 'daenr[cpu]', and see daenr-bench doctor")
    graph = graph or (RIG_GRAPH if RIG_GRAPH in bundle.manifest.graphs else next(iter(bundle.manifest.graphs)))
    names, nothing_to_run = _with_something_to_run(bundle, graph, names)
    plan = plan_of(("burst", "paced"), samples=samples, rate_hz=rate_hz, keep_warm=keep_warm)
    result = benchmark(path, backends=names, graphs=[graph], plan=plan).result
    if not result.complete:
        raise Interrupted("nothing was written; a profile from before still holds")
    evidence = evidence_of(result)
    chosen = choose(evidence)
    profile = MachineProfile(
        manifest_sha256=bundle.manifest.sha256,
        machine=this_kind(),
        graph=graph,
        rate_hz=rate_hz,
        backend=chosen.backend,
        keep_warm=chosen.keep_warm,
        reason=chosen.reason,
        evidence=evidence,
        tuned_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    profile.write(profile_path(bundle))
    return Tuned(profile, profile_path(bundle), result, (*skipped, *nothing_to_run))


def _with_something_to_run(bundle: Bundle, graph: str, names: list[str]) -> tuple[list[str], list[Skip]]:
    """Leave out backends that can run here and find nothing to run in this bundle."""
    found, skipped = [], []
    for name in names:
        try:
            registry.pick(name).open(bundle.graph(graph)).close()
            found.append(name)
        except BackendUnavailableError as error:
            skipped.append(Skip(name, graph, str(error)))
    return found, skipped
