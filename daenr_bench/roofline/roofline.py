"""Count, measure the core, time the backends, and put them beside one another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daenr_bench.entrants import choose
from daenr_bench.plan import plan_of
from daenr_bench.roofline.caches import caches
from daenr_bench.roofline.core import Core
from daenr_bench.roofline.counting import Work, count
from daenr_bench.roofline.document import Roofline
from daenr_bench.roofline.kernels import kernels
from daenr_bench.roofline.limits import limit_of, sizes_of
from daenr_bench.roofline.shares import shares_of
from daenr_bench.run import benchmark
from daenr_bench.statistics.histogram import require_hdrhistogram
from daenr_common.errors import ExportError
from daenr_export.bundle import Bundle
from daenr_export.graphs.names import in_order
from daenr_export.native.reading.graph import read_network
from daenr_export.runtime.protocol import Backend


def roofline(
    path: Path | str,
    *,
    graphs: Sequence[str] | None = None,
    backends: Sequence[str | Backend] | None = None,
    checkpoint: Path | str | None = None,
    samples: int | None = None,
) -> Roofline:
    """How far each backend is from what one core of this machine can do. Ctrl-C ends the timing of backends.

    Args:
        path: the bundle.
        graphs: their names; None for all.
        backends: names, or backends with options of their own; None for all that can run here.
        checkpoint: what it was exported from; if given, PyTorch takes part.
        samples: timed calls of each graph on each backend; None for those of `daenr-bench run`.

    Raises:
        BundleError: the bundle is damaged, or has no such graph, or no golden answers.
        CheckpointError: the checkpoint is not the one that the bundle was exported from.
        ExportError: a graph holds an operation that is not counted, or the kernels could not be compiled.
        BackendUnavailableError: a backend was named and is not known, cannot run here or has nothing to run.
        MissingExtraError: the extra `native` or `bench` is not installed.
    """
    require_hdrhistogram()
    bundle = Bundle.open(path)
    choose(bundle, backends, None if checkpoint is None else Path(checkpoint))  # what is unusable is said at once
    names = [bundle.graph(name).spec.name for name in dict.fromkeys(graphs or in_order(bundle.manifest.graphs))]
    works = {name: _count(bundle, name) for name in names}
    core = Core(kernels(), caches(), sizes_of(works))
    core.measure()
    plan = plan_of(("burst",), samples=samples)
    result = benchmark(path, checkpoint=checkpoint, backends=backends, graphs=names, plan=plan).result
    # Once more, because a core that has become faster meanwhile would leave its backends above their limit.
    core.measure()
    limits = tuple(limit_of(name, works[name], core) for name in names)
    return Roofline(
        bundle=result.bundle,
        started_at=result.started_at,
        complete=result.complete,
        peaks=core.peaks,
        readings=core.readings,
        graphs=limits,
        shares=shares_of(result, limits),
        answers=result.verdict.value,
        skipped=result.skipped,
        machine=result.machine,
        packages=result.packages,
    )


def _count(bundle: Bundle, graph: str) -> tuple[Work, ...]:
    """Raise ExportError for a graph with an operation that native code does not know: its work is not known either."""
    try:
        return count(read_network(bundle.graph(graph).onnx()))
    except ExportError as error:
        problem = f"cannot be counted: {error.subject} {error.problem}"
        raise ExportError(f"graph {graph}", problem, "choose other graphs with --graph") from error
