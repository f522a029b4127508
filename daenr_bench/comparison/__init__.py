"""The gate: is HEAD as right as BASE, and as fast? `compare` answers, and `Comparison.verdict` is what it came to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daenr_bench.clocks import SYSTEM_CLOCK, Clock
from daenr_bench.comparison.bundles import compare_bundles
from daenr_bench.comparison.document import Comparison, Line, Pair
from daenr_bench.comparison.effect import Criteria, Effect
from daenr_bench.comparison.plan import Plan
from daenr_bench.comparison.stored import compare_results
from daenr_common.errors import DaenrError
from daenr_export.runtime.protocol import Backend

__all__ = ["Comparison", "Criteria", "Effect", "Line", "Pair", "Plan", "are_results", "compare"]


def are_results(base: Path, head: Path) -> bool:
    """Whether both are results rather than bundles.

    Raises:
        DaenrError: one does not exist, or they are one of each.
    """
    for path in (base, head):
        if not path.exists():
            raise DaenrError(path, "does not exist", "give two bundles, or two results of daenr-bench run")
    kinds = ["bundle" if path.is_dir() else "result" for path in (base, head)]
    if kinds[0] != kinds[1]:
        problem = f"is a {kinds[1]} and {base} is a {kinds[0]}"
        raise DaenrError(head, problem, "give two bundles, or two results of daenr-bench run")
    return kinds[0] == "result"


def compare(
    base: Path | str,
    head: Path | str,
    *,
    graph: str | None = None,
    backends: Sequence[str | Backend] | None = None,
    plan: Plan | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Comparison:
    """Compare two bundles, measured now in interleaved rounds, or two results. Ctrl-C ends it with what there is.

    Args:
        base: what HEAD is compared with.
        head: what is judged.
        graph: its name; None for what a rig runs.
        backends: names, or backends with options of their own; None for all that can run here, or that BASE holds.
        plan: scenario, rounds and what counts as a difference. Of results only the scenario's name and the criteria.
        clock: that is read around each call.

    Raises:
        BundleError: a bundle is damaged, or has no such graph, or one with other tensors than BASE's.
        BackendUnavailableError: a backend was named and is not known, cannot run here or has nothing to run.
        DaenrError: a file is no result, or of an unknown version, or holds nothing of what is asked for.
    """
    base, head, plan = Path(base), Path(head), plan or Plan()
    if are_results(base, head):
        names = None if backends is None else [b if isinstance(b, str) else b.name for b in backends]
        return compare_results(
            base, head, graph=graph, backends=names, scenario=plan.timer.name, criteria=plan.criteria
        )  # fmt: skip
    return compare_bundles(base, head, graph=graph, backends=backends, plan=plan, clock=clock)
