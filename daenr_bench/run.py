"""The benchmark: every graph of a bundle on every backend, compared with its golden answers and timed, in one run."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daenr_bench.back_to_back import SCENARIO, Plan, Timing, measure
from daenr_bench.cells import BATCH, Cell, open_cells
from daenr_bench.clocks import SYSTEM_CLOCK, Clock, clock_use, read_clocks
from daenr_bench.entrants import choose
from daenr_bench.judge import accuracy_of, judge, reference_of, with_speed
from daenr_bench.machine import this_machine
from daenr_bench.packages import installed
from daenr_bench.quiet import quiet_gc, time_calls
from daenr_bench.result import BundleId, Overhead, Result, SamplesFile, Settings
from daenr_bench.statistics.percentiles import BOUND_DEFINITION, DEFINITION, nearest_rank
from daenr_common.errors import DaenrError
from daenr_common.files import atomic_file, check_output_file, sha256_of
from daenr_export.bundle import Bundle
from daenr_export.graphs.names import in_order
from daenr_export.runtime.protocol import Backend
from daenr_export.specs import Array

_OVERHEAD_CALLS = 5000


@dataclass(frozen=True)
class Report:
    """A result, and the raw samples: nanoseconds `(rounds, calls)` by the keys of `Measurement.samples`."""

    result: Result
    samples: dict[str, NDArray[np.int64]]

    def write(self, path: Path) -> Result:
        """Write the result as JSON, and the samples beside it as npz, and return the result as it was written."""
        samples_path = samples_beside(path)
        buffer = io.BytesIO()
        arrays: dict[str, Any] = dict(self.samples)
        np.savez(buffer, **arrays)
        result = replace(self.result, samples=SamplesFile(samples_path.name, sha256_of(buffer.getvalue())))
        with atomic_file(samples_path) as temporary:
            temporary.write_bytes(buffer.getvalue())
        with atomic_file(path) as temporary:
            temporary.write_text(result.json_text(), encoding="utf-8")
        return result


def samples_beside(path: Path) -> Path:
    """Where the samples go that belong to a JSON file: `results.samples.npz`, which no recording is called.

    Raises:
        DaenrError: the path is a folder, or is that of the samples itself.
    """
    if path.is_dir():
        raise DaenrError(path, "is a folder", "give the file that the result is written to")
    if path.suffix == ".npz":
        raise DaenrError(path, "is where the raw samples go", "give the result a name that ends in .json")
    return path.with_suffix(".samples.npz")


def check_output(path: Path) -> None:
    """Raise DaenrError unless a result can be written to a path: a measurement must not be lost at its very end."""
    samples_beside(path)
    check_output_file(path, force=True)


def benchmark(
    path: Path | str,
    *,
    checkpoint: Path | str | None = None,
    backends: Sequence[str | Backend] | None = None,
    graphs: Sequence[str] | None = None,
    plan: Plan | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Report:
    """Measure a bundle.

    Args:
        path: the bundle.
        checkpoint: what it was exported from, to time PyTorch beside it.
        backends: names, or backends with options of their own; None for all that can run here. One that is named must
            run. `torch` is measured whenever there is a checkpoint.
        graphs: names; None for all that the bundle has.
        plan: how much is measured; None for the default.
        clock: monotonic, in nanoseconds.

    Raises:
        BundleError: the bundle is missing, incomplete, edited or of another schema version, or lacks a graph.
        CheckpointError: the checkpoint is not the one that the bundle was exported from.
        BackendUnavailableError: a backend was named and is not known, cannot run here or has nothing to run.
    """
    plan = plan or Plan()
    bundle = Bundle.open(path)
    names = [bundle.graph(name).spec.name for name in dict.fromkeys(graphs or in_order(bundle.manifest.graphs))]
    entrants, skipped = choose(bundle, backends, None if checkpoint is None else Path(checkpoint))
    started_at, machine = datetime.now(UTC).isoformat(timespec="seconds"), this_machine()
    before = read_clocks(clock)
    with ExitStack() as stack:
        cells, not_opened = open_cells(bundle, entrants, names, stack, must_run=backends is not None)
        # An engine that is fast because it is wrong has no figure.
        right = [cell for cell in cells if not cell.problems]
        overhead = _overhead(right, clock)
        timing = measure(right, plan, clock)
        measurements = judge(right, timing)
    reference = reference_of(measurements)
    manifest = bundle.manifest
    result = Result(
        bundle=BundleId(bundle.path.resolve().name, manifest.model.name, manifest.sha256, manifest.checkpoint.sha256),
        started_at=started_at,
        complete=timing.complete,
        settings=_settings(plan),
        overhead={SCENARIO: overhead},
        clock=clock_use(before, clock),
        reference_backend=reference,
        accuracy=accuracy_of(cells),
        measurements=with_speed(measurements, reference),
        skipped=(*skipped, *not_opened),
        machine=machine,
        packages=installed(),
    )
    return Report(result, _raw(right, timing))


def _settings(plan: Plan) -> Settings:
    return Settings(
        seed=plan.seed,
        percentile_definition=DEFINITION,
        upper_bound_definition=BOUND_DEFINITION,
        scenarios={
            SCENARIO: {
                "batch": BATCH,
                "calls_per_round": plan.block,
                "rounds": plan.rounds,
                "lead_in_calls": plan.lead_in,
            }
        },
    )


def _overhead(cells: Sequence[Cell], clock: Clock) -> Overhead:
    """Time a function that does nothing, with the loop and the inputs that the cells are timed with."""
    batches = cells[0].inputs if cells else (np.zeros(1),)
    latency_ns = np.empty(_OVERHEAD_CALLS, np.int64)

    def nothing(_: Array) -> tuple[Array, ...]:
        return ()

    with quiet_gc():
        time_calls(nothing, batches, latency_ns, clock=clock)
    latency_ns.sort()
    return Overhead(_OVERHEAD_CALLS, nearest_rank(latency_ns, 0.5), nearest_rank(latency_ns, 0.99))


def _raw(cells: Sequence[Cell], timing: Timing) -> dict[str, NDArray[np.int64]]:
    return {
        f"{cell.graph}.{cell.backend}.{SCENARIO}.latency_ns": samples.latency_ns
        for cell, samples in zip(cells, timing.samples, strict=True)
        if samples.done
    }
