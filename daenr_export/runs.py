"""Runs of graphs on backends, each compared with the golden file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, final

from daenr_common.errors import BackendUnavailableError
from daenr_common.verdict import Check, Verdict
from daenr_export.golden import Golden, batch_sizes
from daenr_export.parity import Comparison, Tolerance, answer_all, compare
from daenr_export.runtime.protocol import Array, BatchRange, BundleGraph, GraphSpec, Session


@final
@dataclass(frozen=True)
class OnnxGraph:
    """A graph that is not in a bundle yet, as backends see it (`daenr_export.runtime.protocol.BundleGraph`)."""

    spec: GraphSpec
    content: bytes

    def onnx(self) -> bytes:
        """The ONNX graph."""
        return self.content

    def engine(self, flavour: str) -> bytes:
        """Raise BackendUnavailableError: there is none."""
        raise BackendUnavailableError(f"graph {self.spec.name}", f"has no {flavour} engine", "export it with --trt")


@final
class Witness:
    """A graph that notes whether a backend took its engine, and so which precision was run.

    Args:
        graph: of a bundle.
        engine_precision: what its engines compute in.
    """

    def __init__(self, graph: BundleGraph, engine_precision: str) -> None:
        self._graph = graph
        self._engine_precision = engine_precision
        self.precision = "fp32"

    @property
    def spec(self) -> GraphSpec:
        """Input, outputs and batch range."""
        return self._graph.spec

    def onnx(self) -> bytes:
        """The float32 ONNX graph."""
        return self._graph.onnx()

    def engine(self, flavour: str) -> bytes:
        """The TensorRT engine of a flavour."""
        content = self._graph.engine(flavour)
        self.precision = self._engine_precision
        return content


@dataclass(frozen=True)
class Run:
    """A graph that answered the golden inputs on a backend, in batches of one size."""

    backend: str
    graph: str
    precision: str
    batch: int
    comparisons: tuple[Comparison, ...]

    @property
    def verdict(self) -> Verdict:
        """PASS if every output is within tolerance. A run that compared nothing is a failure."""
        good = self.comparisons and not any(comparison.problems for comparison in self.comparisons)
        return Verdict.PASS if good else Verdict.FAIL

    def worst(self, metric: str) -> float | None:
        """The largest value of a metric over the outputs that have it."""
        return max((c.metrics[metric] for c in self.comparisons if metric in c.metrics), default=None)

    @property
    def check(self) -> Check:
        """The run as a row of a report."""
        problems = [problem for comparison in self.comparisons for problem in comparison.problems]
        error = self.worst("max_error_over_scale")
        measured = "nothing was measured" if error is None else f"error {error:.1e} of scale"
        subject = f"{self.backend} / {self.graph} / batch {self.batch}"
        return Check(subject, self.verdict, "; ".join(problems) or measured)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "verdict": self.verdict.value}


@dataclass(frozen=True)
class Sampling:
    """How many golden inputs are answered, and at which batch sizes. None: all."""

    inputs: int | None = None
    batches: tuple[int, ...] | None = None

    def inputs_of(self, inputs: Array) -> Array:
        """The inputs that are answered."""
        return inputs if self.inputs is None else inputs[: self.inputs]

    def batches_of(self, batch: BatchRange) -> tuple[int, ...]:
        """The batch sizes, brought into the range that the graph takes."""
        if self.batches is None:
            return batch_sizes(batch)
        return tuple(sorted({min(max(size, batch.min), batch.max) for size in self.batches}))


ALL = Sampling()
FEW = Sampling(inputs=2, batches=(2,))
"""For an evaluator that takes a second for an image; a batch of two still shows whether the batch axis is handled."""


def compare_with_golden(
    session: Session, golden: Golden, tolerance: Tolerance, *, backend: str, precision: str, sampling: Sampling = ALL
) -> list[Run]:
    """Let an open graph answer the golden inputs, and compare."""
    spec = session.spec
    inputs = sampling.inputs_of(golden.inputs(spec))
    references = {name: array[: len(inputs)] for name, array in golden.references(spec).items()}
    runs = []
    for batch in sampling.batches_of(spec.batch):
        answers = answer_all(session.run, inputs, batch)
        named = dict(zip((output.name for output in spec.outputs), answers, strict=True))
        runs.append(Run(backend, spec.name, precision, batch, compare(named, references, tolerance)))
    return runs
