"""BASE and HEAD as bundles, measured now: accuracy first, then interleaved rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from daenr_bench.cells import Cell, open_cells
from daenr_bench.clocks import Clock
from daenr_bench.comparison.document import Comparison, Pair, Side, State
from daenr_bench.comparison.looks import Looks
from daenr_bench.comparison.plan import Plan
from daenr_bench.comparison.race import SIDES, Race, decide
from daenr_bench.comparison.samples import Samples
from daenr_bench.entrants import choose
from daenr_bench.machine import this_machine
from daenr_bench.packages import installed
from daenr_bench.result import Skip
from daenr_bench.run import RIG_GRAPH
from daenr_bench.scenarios.calling import quiet_gc
from daenr_bench.scenarios.tracks import Bench
from daenr_common.errors import BundleError
from daenr_export.bundle import Bundle
from daenr_export.graphs.names import in_order
from daenr_export.runtime.protocol import Backend
from daenr_export.verification.runs import Witness


def compare_bundles(
    base: Path, head: Path, *, graph: str | None, backends: Sequence[str | Backend] | None, plan: Plan, clock: Clock
) -> Comparison:
    """Measure two bundles in interleaved rounds. Raises as `daenr_bench.comparison.compare` does."""
    bundles = Bundle.open(base), Bundle.open(head)
    name = _graph_of(bundles, graph)
    entrants, skipped = choose(bundles[0], backends, None)
    machine, started_at = this_machine(), datetime.now(UTC).isoformat(timespec="seconds")
    must_run = () if backends is None else [backend.name for backend in entrants]
    opened = [_open(bundle, entrants, name, must_run=must_run) for bundle in bundles]
    pairs, races, not_opened = _match(opened, name, [backend.name for backend in entrants])
    looks = Looks(plan.rounds, len(races))
    contests = {
        backend: Race(
            cells,
            (_opener(bundles[0], name), _opener(bundles[1], name)),
            (Bench(bundles[0], clock, plan.seed), Bench(bundles[1], clock, plan.seed)),
            plan.timer,
            plan.criteria,
            looks.confidence,
            Samples(unanswered_ns=plan.timer.unanswered_ns),
        )
        for backend, cells in races.items()
    }
    with quiet_gc():
        complete = decide(list(contests.values()), looks)
    pairs |= {backend: race.pair(complete=complete) for backend, race in contests.items()}
    return Comparison(
        base=_side(bundles[0], started_at),
        head=_side(bundles[1], started_at),
        measured="together",
        scenario=plan.timer.name,
        timing_boundary=plan.timer.boundary,
        settings=plan.settings() | {"looks_after_rounds": list(looks.at), "confidence": looks.confidence},
        complete=complete,
        pairs=tuple(pairs[backend.name] for backend in entrants if backend.name in pairs),
        skipped=(*skipped, *not_opened),
        notes=tuple(_notes(bundles)),
        machine=machine,
        packages=installed(),
    )


def _graph_of(bundles: tuple[Bundle, Bundle], wanted: str | None) -> str:
    """The graph that is compared, which must be the same from outside."""
    base, head = bundles
    if wanted is None:
        common = [name for name in in_order(base.manifest.graphs) if name in head.manifest.graphs]
        if not common:
            problem = f"has no graph that BASE has ({', '.join(base.manifest.graphs)})"
            raise BundleError(head.path, problem, "compare bundles of the same kind of model")
        wanted = RIG_GRAPH if RIG_GRAPH in common else common[0]
    specs = [bundle.graph(wanted).spec for bundle in bundles]
    tensors = [", ".join(f"{t.name} {t.dtype} {t.shape}" for t in (spec.input, *spec.outputs)) for spec in specs]
    if tensors[0] != tensors[1]:
        problem = f"graph {wanted} has the tensors {tensors[1]}, and BASE's has {tensors[0]}"
        raise BundleError(head.path, problem, "compare bundles whose graph takes and gives the same")
    return wanted


def _open(
    bundle: Bundle, entrants: Sequence[Backend], graph: str, *, must_run: Sequence[str]
) -> tuple[dict[str, Cell], dict[str, Skip]]:
    """Compare all golden answers, and close again: each round opens a session of its own."""
    with ExitStack() as stack:
        cells, skips = open_cells(bundle, entrants, [graph], stack, must_run=must_run)
    return {cell.backend: cell for cell in cells}, {skip.backend: skip for skip in skips}


def _match(
    opened: Sequence[tuple[dict[str, Cell], dict[str, Skip]]], graph: str, names: Sequence[str]
) -> tuple[dict[str, Pair], dict[str, tuple[Cell, Cell]], list[Skip]]:
    """Sort backends into pairs that have their verdict already, those that are to be timed, and those left out."""
    (base, base_skips), (head, head_skips) = opened
    pairs: dict[str, Pair] = {}
    races: dict[str, tuple[Cell, Cell]] = {}
    skipped = []
    for name in names:
        wrong = [
            f"{side}: {problem}"
            for side, cells in zip(SIDES, (base, head), strict=True)
            if name in cells
            for problem in cells[name].problems
        ]
        if wrong:
            pairs[name] = Pair(graph, name, State.WRONG.value, problems=tuple(wrong))
        elif name in base and name in head:
            races[name] = (base[name], head[name])
        elif name in base:
            # What BASE could do and HEAD cannot is no reason to pass.
            pairs[name] = Pair(graph, name, State.NOT_COMPARED.value, problems=(f"HEAD: {head_skips[name].reason}",))
        else:
            skipped.append(Skip(name, graph, f"BASE: {base_skips[name].reason}"))
    return pairs, races, skipped


def _opener(bundle: Bundle, graph: str) -> Callable[[], Witness]:
    return partial(Witness, bundle.graph(graph), bundle.manifest)


def _side(bundle: Bundle, started_at: str) -> Side:
    manifest = bundle.manifest
    name = bundle.path.resolve().name
    return Side(name, manifest.model.name, manifest.sha256, manifest.checkpoint.sha256, started_at)


def _notes(bundles: tuple[Bundle, Bundle]) -> list[str]:
    base, head = (bundle.manifest for bundle in bundles)
    notes = []
    if base.model.name != head.model.name:
        notes.append(f"the models differ: {base.model.name} and {head.model.name}")
    if base.sha256 == head.sha256:
        notes.append("BASE and HEAD are the same bundle")
    return notes
