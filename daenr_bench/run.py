"""The benchmark: graphs of a bundle on every backend, compared with its golden answers and timed, in one run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from daenr_bench.cells import Cell, open_cells
from daenr_bench.clocks import SYSTEM_CLOCK, Clock, clock_use, read_both
from daenr_bench.entrants import choose, entrants_of, is_on_all_graphs
from daenr_bench.judge import accuracy_of, answers_to_save, reference_of, with_speed
from daenr_bench.machine import Machine, this_machine
from daenr_bench.measurement import Measurement
from daenr_bench.overhead import overhead_of_loops
from daenr_bench.packages import installed
from daenr_bench.plan import Plan
from daenr_bench.result import BundleId, Result, Settings
from daenr_bench.result_files import Report
from daenr_bench.scenarios.tracks import Bench, Outcome, Scenario, Track, joined
from daenr_bench.standard import Standard
from daenr_bench.statistics.histogram import require_hdrhistogram
from daenr_bench.statistics.percentiles import BOUND_DEFINITION, DEFINITION
from daenr_bench.yardstick import Against, Yardstick, yardstick_of
from daenr_export.bundle import Bundle
from daenr_export.graphs.names import in_order
from daenr_export.runtime.protocol import Backend

RIG_GRAPH = "responses"
"""What a rig runs: the scenarios that take long measure this graph only, or else the first."""


def benchmark(
    path: Path | str,
    *,
    checkpoint: Path | str | None = None,
    backends: Sequence[str | Backend] | None = None,
    peers: bool = False,
    graphs: Sequence[str] | None = None,
    plan: Plan | None = None,
    against: Against | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Report:
    """Measure a bundle. Ctrl-C ends the run, and the report has what was measured by then.

    Args:
        path: the bundle.
        checkpoint: what it was exported from; if given, PyTorch eager takes part.
        backends: names of backends and peers, or backends with options of their own; None for all backends that can
            run here.
        peers: whether all peers that can run here take part, too (see `daenr_bench.peers`).
        graphs: their names; None for all, and for peers other than PyTorch eager for the one that a rig runs.
        plan: which scenarios, and how much of each.
        against: what answers are held against beside the golden file: margins, a recording, a saved run.
        clock: that is read around each call.

    Raises:
        BundleError: the bundle is damaged, or has no such graph, or no golden answers.
        CheckpointError: the checkpoint is not the one that the bundle was exported from.
        BackendUnavailableError: a backend was named and is not known, cannot run here or has nothing to run.
        RecordingError: the recording is unusable, or not of these neurons and images.
        DaenrError: the margins or the saved run are unusable.
        MissingExtraError: the extra `bench` is not installed.
    """
    require_hdrhistogram()
    plan = plan or Plan()
    bundle = Bundle.open(path)
    names = [bundle.graph(name).spec.name for name in dict.fromkeys(graphs or in_order(bundle.manifest.graphs))]
    made_from = None if checkpoint is None else Path(checkpoint)
    entrants, skipped = choose(bundle, backends, made_from, all_peers=peers)
    made_by_caller = frozenset(backend.name for backend in backends or () if not isinstance(backend, str))
    bench = Bench(bundle, clock, plan.seed, made_from, made_by_caller)
    yardstick = yardstick_of(bundle, against)
    started_at, machine, before = datetime.now(UTC).isoformat(timespec="seconds"), this_machine(), read_both(clock)
    with ExitStack() as stack:
        opening = partial(open_cells, bundle, stack=stack, must_run=_names(backends), yardstick=yardstick)
        cells, not_opened = opening([entrant for entrant in entrants if is_on_all_graphs(entrant)], names)
        few = names if graphs else [rig_graph(names)]
        of_few, also_not_opened = opening([entrant for entrant in entrants if not is_on_all_graphs(entrant)], few)
        cells += of_few
        # An engine that is fast because it is wrong has no figure.
        right = [cell for cell in cells if not cell.problems]
        overhead = overhead_of_loops(right[0].inputs if right else (np.zeros(1),), clock)
        outcome = _measure(plan.scenarios, right, bench)
    reference = reference_of(outcome.measurements)
    accuracy, by_neuron = accuracy_of(cells)
    answers, saved = answers_to_save(right, yardstick) if against and against.save_answers else ({}, {})
    result = Result(
        bundle=_identify(bundle),
        started_at=started_at,
        complete=outcome.complete,
        settings=Settings(plan.seed, DEFINITION, BOUND_DEFINITION, _settings(plan)),
        overhead={**overhead, **outcome.overhead},
        clock=clock_use(before, clock),
        reference_backend=reference,
        entrants=entrants_of(cells),
        standard=_standard(yardstick, machine, outcome.measurements, answers),
        accuracy=accuracy,
        measurements=with_speed(outcome.measurements, reference),
        skipped=(*skipped, *not_opened, *also_not_opened),
        machine=machine,
        packages=installed(),
    )
    return Report(result, {**outcome.arrays, **by_neuron, **saved})


def _names(backends: Sequence[str | Backend] | None) -> frozenset[str]:
    """Of backends that were asked for, and so must run."""
    return frozenset(backend if isinstance(backend, str) else backend.name for backend in backends or ())


def _standard(
    yardstick: Yardstick, machine: Machine, measurements: Sequence[Measurement], answers: dict[str, str]
) -> Standard:
    saved = yardstick.saved
    reference = None if saved is None else saved.seen_from(machine, measurements)
    return replace(yardstick.standard, reference=reference, answers=answers)


def _measure(scenarios: Sequence[Scenario], cells: Sequence[Cell], bench: Bench) -> Outcome:
    """One scenario after the other, until the end or Ctrl-C."""
    outcomes: list[Outcome] = []
    complete = True
    for scenario in scenarios:
        chosen = cells if scenario.all_graphs else _of_rig_graph(cells)
        if complete:
            outcomes.append(scenario.measure(chosen, bench))
            complete = outcomes[-1].complete
        else:
            outcomes += [_not_measured(cell, scenario) for cell in chosen]
    return joined(outcomes, complete=complete)


def rig_graph(names: Sequence[str]) -> str:
    """The graph of several that a rig runs."""
    return RIG_GRAPH if RIG_GRAPH in names else names[0]


def _of_rig_graph(cells: Sequence[Cell]) -> list[Cell]:
    names = [cell.graph for cell in cells]
    return [cell for cell in cells if cell.graph == rig_graph(names)]


def _not_measured(cell: Cell, scenario: Scenario) -> Outcome:
    measurement = Track(cell).concluded(scenario.name, scenario.boundary, measured=False, complete=False)
    return Outcome((measurement,), {}, complete=False)


def _settings(plan: Plan) -> dict[str, dict[str, Any]]:
    return {scenario.name: scenario.settings() for scenario in plan.scenarios}


def _identify(bundle: Bundle) -> BundleId:
    manifest = bundle.manifest
    return BundleId(bundle.path.resolve().name, manifest.model.name, manifest.sha256, manifest.checkpoint.sha256)
