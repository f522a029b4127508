"""Runs of graphs on backends, each compared with the golden file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from daenr_common.errors import BackendUnavailableError, DaenrError
from daenr_common.hashing import sha256_of
from daenr_common.verdict import Check, Verdict
from daenr_export.bundle import Manifest
from daenr_export.bundle.golden import Golden, batch_sizes
from daenr_export.runtime.protocol import Backend, GraphSource, Session
from daenr_export.specs import Array, BatchRange, GraphSpec
from daenr_export.verification.parity import Comparison, Tolerance, answer_all, compare


@final
@dataclass(frozen=True)
class OnnxGraph:
    """An ONNX graph alone, as backends see it (`daenr_export.runtime.protocol.GraphSource`)."""

    spec: GraphSpec
    content: bytes
    precision: str
    cache_folder: Path | None = None
    library: bytes | None = None

    def onnx(self) -> bytes:
        """The ONNX graph."""
        return self.content

    @property
    def onnx_sha256(self) -> str:
        """Its digest."""
        return sha256_of(self.content)

    def engine(self, flavour: str) -> bytes:
        """Raise BackendUnavailableError: there is none."""
        raise BackendUnavailableError(f"graph {self.spec.name}", f"has no {flavour} engine", "export it with --trt")

    def native(self, target: str) -> bytes:
        """The library of compiled C, if it was given one; else raise BackendUnavailableError."""
        if self.library is not None:
            return self.library
        raise BackendUnavailableError(f"graph {self.spec.name}", f"has no {target} library", "export it with --native")


@final
class Witness:
    """A graph of a bundle that notes whether a backend took something compiled, and so which precision was run.

    Args:
        graph: of a bundle.
        manifest: of the bundle.
    """

    def __init__(self, graph: GraphSource, manifest: Manifest) -> None:
        self._graph = graph
        self._manifest = manifest
        self._compiled: str | None = None

    @property
    def spec(self) -> GraphSpec:
        """Input, outputs and batch range."""
        return self._graph.spec

    @property
    def cache_folder(self) -> Path | None:
        """Where a backend may keep what it compiled for this machine."""
        return self._graph.cache_folder

    @property
    def precision(self) -> str:
        """What was handed out computes in."""
        return self._compiled or "fp32"

    @property
    def gave_compiled(self) -> bool:
        """Whether an engine or a library was handed out."""
        return self._compiled is not None

    def onnx(self) -> bytes:
        """The float32 ONNX graph."""
        return self._graph.onnx()

    @property
    def onnx_sha256(self) -> str:
        """Its digest."""
        return self._graph.onnx_sha256

    def engine(self, flavour: str) -> bytes:
        """The TensorRT engine of a flavour."""
        content = self._graph.engine(flavour)
        self._compiled = self._manifest.engine_precision(self.spec.name, flavour)
        return content

    def native(self, target: str) -> bytes:
        """The library of compiled C for a target."""
        content = self._graph.native(target)
        self._compiled = self._manifest.native_precision(self.spec.name, target)
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


def run_graph(
    backend: Backend,
    graph: OnnxGraph | Witness,
    golden: Golden,
    tolerance_of: Callable[[str], Tolerance],
    sampling: Sampling = ALL,
) -> list[Run]:
    """Open a graph, let it answer the golden inputs at each batch size, and compare.

    Args:
        backend: runs it.
        graph: what is run; its precision is known once it is open.
        golden: inputs and references.
        tolerance_of: by precision.
        sampling: how many inputs, and which batch sizes.

    Raises:
        BackendUnavailableError: the backend does not open the graph.
        BundleError: the golden file does not fit the graph.
    """
    spec = graph.spec
    inputs = sampling.inputs_of(golden.inputs(spec))
    references = {name: array[: len(inputs)] for name, array in golden.references(spec).items()}
    with backend.open(graph) as session:
        precision = precision_of(session, graph)
        tolerance = tolerance_of(precision)
        runs = []
        for batch in sampling.batches_of(spec.batch):
            _, comparisons = answer_and_compare(session, inputs, batch, references, tolerance)
            runs.append(Run(backend.name, spec.name, precision, batch, comparisons))
    return runs


def precision_of(session: Session, graph: OnnxGraph | Witness) -> str:
    """What an open session computes in: on some processors more than what was compiled was made for."""
    return getattr(session, "precision", None) or graph.precision


def answer_and_compare(
    session: Session, inputs: Array, batch: int, references: Mapping[str, Array], tolerance: Tolerance
) -> tuple[dict[str, Array], tuple[Comparison, ...]]:
    """Let a session answer all inputs in batches of one size.

    Args:
        session: an open graph.
        inputs: `(N, …)`.
        batch: the size.
        references: by output, `(N, …)`.
        tolerance: of the precision that answers.

    Returns:
        The answers by output, none if it could not; and how they compare, a comparison for each reference.
    """
    names = [output.name for output in session.spec.outputs]
    try:
        answers = dict(zip(names, answer_all(session.run, inputs, batch), strict=True))
    except (DaenrError, ValueError) as error:
        return {}, tuple(Comparison(name, {}, (str(error),)) for name in references)
    return answers, compare(answers, references, tolerance)
