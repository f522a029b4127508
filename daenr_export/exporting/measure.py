"""The parity of fresh graphs: each is compared with the PyTorch model before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version

from daenr_common.errors import ExportError
from daenr_export.bundle import Parity
from daenr_export.bundle.golden import Golden
from daenr_export.graphs.make import Graph
from daenr_export.runtime.backends.onnxruntime import OnnxRuntimeBackend
from daenr_export.runtime.protocol import Backend
from daenr_export.specs import BatchRange
from daenr_export.verification.parity import TOLERANCES
from daenr_export.verification.reference_backend import ReferenceBackend
from daenr_export.verification.runs import FEW, OnnxGraph, Run, Sampling, run_graph


def measure(graphs: Mapping[str, Graph], golden: Golden, batch: BatchRange) -> dict[str, tuple[Parity, ...]]:
    """Compare every graph, and its typed variants, with the golden file.

    Runs on onnxruntime where it is installed, else on onnx's reference evaluator.

    Args:
        graphs: by name.
        golden: what PyTorch answered.
        batch: sizes that the graphs are made for.

    Returns:
        By graph, the parity of each output that is a number (how often codes agree is part of the verification).

    Raises:
        ExportError: an output is beyond tolerance.
    """
    evaluator = _Evaluator(golden)
    return {name: tuple(evaluator.parities(graph, batch)) for name, graph in graphs.items()}


class _Evaluator:
    def __init__(self, golden: Golden) -> None:
        self._golden = golden
        self._backend: Backend = OnnxRuntimeBackend()
        # The largest batch is what an engine's answers are most often wrong at; the others follow in the verification.
        self._sampling, package = Sampling(batches=(len(golden.arrays["image"]),)), "onnxruntime"
        if self._backend.why_unavailable():
            self._backend, self._sampling, package = ReferenceBackend(), FEW, "onnx"
        self._label = f"{self._backend.name} {version(package)}"

    def parities(self, graph: Graph, batch: BatchRange) -> Iterator[Parity]:
        spec = graph.spec(batch)
        yield from self._parities(OnnxGraph(spec, graph.onnx, "fp32"))
        for precision, content in graph.variants.items():
            yield from self._parities(OnnxGraph(spec, content, precision))

    def _parities(self, graph: OnnxGraph) -> Iterator[Parity]:
        for run in run_graph(self._backend, graph, self._golden, TOLERANCES.__getitem__, self._sampling):
            _require_passed(run)
            for comparison in run.comparisons:
                if "max_error_over_scale" in comparison.metrics:
                    yield Parity(
                        output=comparison.output,
                        batch=run.batch,
                        max_error_over_scale=comparison.metrics["max_error_over_scale"],
                        relative_rms=comparison.metrics["relative_rms"],
                        tolerance=TOLERANCES[run.precision].max_error_over_scale,
                        evaluator=self._label,
                        precision=run.precision,
                    )


def _require_passed(run: Run) -> None:
    problems = [problem for comparison in run.comparisons for problem in comparison.problems]
    if problems:
        remedy = "report it with the checkpoint"
        if run.precision != "fp32":
            remedy = "this model does not bear that precision: export with --precision fp32"
        problem = f"in {run.precision} on {run.backend} differs from PyTorch: {'; '.join(problems)}"
        raise ExportError(f"graph {run.graph}", problem, remedy)
