"""Which layers of compiled C may multiply shorter numbers than float32: as many as the margins of the science allow.

A library is compiled for the tiles of this processor, answers the golden images, and is held against margins
(`daenr_export.verification.science`). Where it breaks one, of the layers with the shortest numbers that with the
fewest weights gets longer ones, and the next library is tried: what is given up first costs the least time.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from daenr_common.errors import BackendUnavailableError, ExportError
from daenr_export.bundle.golden import Golden
from daenr_export.graphs.make import Graph
from daenr_export.native import layers_of, make_library
from daenr_export.native.targets import AMX, native_target
from daenr_export.runtime.backends.native import NativeBackend
from daenr_export.runtime.protocol import Session
from daenr_export.specs import Array, GraphSpec
from daenr_export.verification.margins import Margins
from daenr_export.verification.parity import TOLERANCES
from daenr_export.verification.runs import answer_and_compare
from daenr_export.verification.science import HeldOut, judge

LONGER = {"int8": "bf16", "bf16": "fp32"}
"""What a layer falls back to."""

AUTO = "auto"
_CALLS, _ROUNDS = 50, 5


@dataclass(frozen=True, eq=False)
class Contract:
    """What a library with shorter numbers must keep to.

    Attributes:
        golden: images, and what the model answers.
        held_out: the same images, and the responses that were recorded to them, if there are any.
        margins: what may be lost.
    """

    golden: Golden
    held_out: HeldOut
    margins: Margins


@dataclass(frozen=True)
class Shortened:
    """What the layers of a graph multiply.

    Attributes:
        precision: the shortest numbers of all; `fp32` where none could be shorter.
        layers: of each layer, by name.
        contract: what was found, a sentence for each margin.
        fallbacks: what was given up, and what had broken the contract.
    """

    precision: str
    layers: dict[str, str] = field(default_factory=dict)
    contract: tuple[str, ...] = ()
    fallbacks: tuple[str, ...] = ()


def shorten(graph: Graph, spec: GraphSpec, precision: str, contract: Contract, folder: Path) -> Shortened:
    """Find the layers that may multiply shorter numbers.

    Args:
        graph: to compile.
        spec: of it.
        precision: `bf16`, `int8`, or `auto` for what answers one image fastest of those two and float32.
        contract: to keep.
        folder: for libraries that are tried.

    Raises:
        ExportError: this processor has no tiles, so that nothing can be tried; or the compiler fails.
        MissingExtraError: the compiler is not installed.
    """
    search = _Search(graph, spec, contract, folder)
    if precision != AUTO:
        return search.longest_needed(precision)
    found = [search.longest_needed("int8"), search.longest_needed("bf16"), Shortened("fp32", search.all_in("fp32"))]
    distinct = list({tuple(item.layers.items()): item for item in reversed(found)}.values())
    return search.fastest(distinct)


@final
@dataclass(frozen=True)
class _Candidate:
    """A graph with a library that is tried, as the backend sees it (`daenr_export.runtime.protocol.GraphSource`)."""

    spec: GraphSpec
    content: bytes
    library: bytes
    cache_folder: Path | None = None

    def onnx(self) -> bytes:
        return self.content

    def engine(self, flavour: str) -> bytes:
        raise BackendUnavailableError(f"graph {self.spec.name}", f"has no {flavour} engine", "export it with --trt")

    def native(self, target: str) -> bytes:  # noqa: ARG002 (only this machine's is made)
        return self.library


@final
class _Search:
    def __init__(self, graph: Graph, spec: GraphSpec, contract: Contract, folder: Path) -> None:
        self._graph = graph
        self._spec = spec
        self._contract = contract
        self._folder = folder
        self._weights = layers_of(graph.onnx, spec.batch.max)
        self._inputs = contract.golden.inputs(spec)
        self._references = contract.golden.references(spec)

    def all_in(self, precision: str) -> dict[str, str]:
        return dict.fromkeys(self._weights, precision)

    def longest_needed(self, precision: str) -> Shortened:
        """Start with all layers in a precision and fall back until the contract holds."""
        layers = self.all_in(precision)
        fallbacks: list[str] = []
        while set(layers.values()) - {"fp32"}:
            found, broken = self._try(layers)
            if not broken:
                return Shortened(_shortest(layers), layers, tuple(found), tuple(fallbacks))
            shortest = _shortest(layers)
            name = min((name for name in layers if layers[name] == shortest), key=lambda name: self._weights[name])
            fallbacks.append(f"{name} from {shortest} to {LONGER[shortest]}: {'; '.join(broken)}")
            layers[name] = LONGER[shortest]
        return Shortened("fp32", layers, (), tuple(fallbacks))

    def _try(self, layers: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """What is found about the answers with these layers, in sentences; and those that break the contract."""
        tolerance = TOLERANCES[_shortest(layers)]
        with self._open(layers) as session:
            answers, comparisons = answer_and_compare(
                session, self._inputs, self._spec.batch.max, self._references, tolerance
            )
        broken = [f"{c.output}: {problem}" for c in comparisons for problem in c.problems]
        if not answers:
            return [], broken
        science = judge(answers, self._references, self._contract.held_out, self._contract.margins)
        found = [f"{finding.output}: {finding.reason}" for finding in science.findings]
        return found, [*science.problems, *broken]

    def _open(self, layers: Mapping[str, str]) -> Session:
        precision = _shortest(layers)
        path = self._folder / f"{self._graph.name}.candidate"
        make_library(
            self._graph.onnx,
            graph_name=self._graph.name,
            precision=precision,
            target=native_target(),
            golden_input=self._inputs[:1],
            golden_outputs={name: array[:1] for name, array in self._references.items()},
            max_batch=self._spec.batch.max,
            destination=path,
            layers=layers,
            instruction_sets=(AMX.name,) if precision != "fp32" else None,
        )
        candidate = _Candidate(self._spec, self._graph.onnx, path.read_bytes())
        try:
            return NativeBackend().open(candidate)
        except BackendUnavailableError as error:
            raise ExportError(
                f"--precision {precision}",
                f"is accepted only after it was tried, which fails here ({error})",
                "export on a processor with Intel AMX under Linux, or leave --precision out",
            ) from error

    def fastest(self, candidates: list[Shortened]) -> Shortened:
        """Of several, what answers one image fastest here: the least median of interleaved rounds."""
        image = self._inputs[:1]
        sessions = [self._open(candidate.layers) for candidate in candidates]
        rounds = [[_time(session, image) for session in sessions] for _ in range(_ROUNDS)]
        for session in sessions:
            session.close()
        times = [statistics.median(times) for times in zip(*rounds, strict=True)]
        return candidates[times.index(min(times))]


def _time(session: Session, image: Array) -> float:
    """Seconds of a call, the least disturbed of several."""
    return min(_seconds(session, image) for _ in range(_CALLS))


def _seconds(session: Session, image: Array) -> float:
    start = time.perf_counter()
    session.run(image)
    return time.perf_counter() - start


def _shortest(layers: Mapping[str, str]) -> str:
    return next((p for p in ("int8", "bf16") if p in layers.values()), "fp32")
