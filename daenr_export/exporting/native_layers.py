"""Which layers of compiled C multiply shorter numbers than float32: those whose library keeps the contract here."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from daenr_common.errors import BackendUnavailableError, ExportError
from daenr_export.exporting.contract import Contract, Shortened, fall_back, shortest
from daenr_export.exporting.options import ELSEWHERE
from daenr_export.graphs.make import Graph
from daenr_export.native import layers_of, make_library
from daenr_export.native.targets import find_target, native_target
from daenr_export.runtime.backends.native import open_graph
from daenr_export.runtime.protocol import Session
from daenr_export.specs import Array, GraphSpec
from daenr_export.verification.runs import OnnxGraph

LONGER = {"int8": "bf16", "bf16": "fp32"}
AUTO = "auto"
_CALLS, _ROUNDS = 50, 5


def shorten(graph: Graph, spec: GraphSpec, precision: str, contract: Contract, folder: Path) -> Shortened:
    """Find the layers that may multiply shorter numbers, by trying libraries on this processor.

    Args:
        graph: to compile.
        spec: of it.
        precision: `bf16`, `int8`, or `auto` for what answers one image fastest of those two and float32.
        contract: to keep.
        folder: for libraries that are tried.

    Raises:
        ExportError: this processor does not multiply such numbers, so that nothing can be tried; or the compiler fails.
        MissingExtraError: the compiler is not installed.
    """
    able = layers_of(graph.onnx, spec.batch.max)
    weights = {name: layer.weights for name, layer in able.items()}

    def open_(layers: Mapping[str, str]) -> Session:
        return _open(graph, spec, layers, contract, folder)

    has_bf16 = precision == "bf16" or not able or _multiplies_bf16(open_, list(able))
    longer = LONGER if has_bf16 else {"int8": "fp32"}

    def shortened(precision: str) -> Shortened:
        start = {name: layer.at(precision) for name, layer in able.items()}
        if not has_bf16:  # what cannot be tried here is not accepted here
            start = {name: "fp32" if chosen == "bf16" else chosen for name, chosen in start.items()}
        return fall_back(spec, weights, start, longer, contract, open_)

    if precision != AUTO:
        return shortened(precision)
    found = [shortened(one) for one in (("int8", "bf16") if has_bf16 else ("int8",))]
    found.append(Shortened(dict.fromkeys(weights, "fp32")))
    distinct = list({tuple(item.layers.items()): item for item in reversed(found)}.values())
    with ExitStack() as stack:
        sessions = [stack.enter_context(open_(item.layers)) for item in distinct]
        times = _times(sessions, contract.golden.inputs(spec)[:1])
    return distinct[times.index(min(times))]


_BF16_HERE: list[bool] = []
"""Whether this processor multiplies bfloat16, once it is known."""


def _multiplies_bf16(open_: Callable[[Mapping[str, str]], Session], layers: list[str]) -> bool:
    """Whether a library in bfloat16 opens here: a processor may multiply int8 alone."""
    if not _BF16_HERE:
        try:
            open_(dict.fromkeys(layers, "bf16")).close()
            _BF16_HERE.append(True)
        except ExportError:
            _BF16_HERE.append(False)
    return _BF16_HERE[0]


def _open(graph: Graph, spec: GraphSpec, layers: Mapping[str, str], contract: Contract, folder: Path) -> Session:
    precision, path = shortest(layers), folder / f"{graph.name}.candidate"
    make_library(
        graph.onnx,
        graph_name=graph.name,
        precision=precision,
        target=native_target(),
        golden_input=contract.golden.inputs(spec)[:1],
        golden_outputs={name: array[:1] for name, array in contract.golden.references(spec).items()},
        max_batch=spec.batch.max,
        destination=path,
        layers=layers,
        instruction_sets=None if precision == "fp32" else _sets_here(precision),
    )
    try:
        # Without its self-test: whether answers are good enough is for the contract to say.
        return open_graph(OnnxGraph(spec, graph.onnx, precision, library=path.read_bytes()), tests=False)
    except BackendUnavailableError as error:
        raise ExportError(
            f"--precision {precision}", f"is accepted only after it was tried, which fails here ({error})", ELSEWHERE
        ) from error


def _sets_here(precision: str) -> tuple[str, ...]:
    return tuple(machine.name for machine in find_target(native_target()).multiplying(precision))


def _times(sessions: list[Session], image: Array) -> list[float]:
    """Seconds of an answer to one image, of each session: the median of interleaved rounds."""
    rounds = [[_time(session, image) for session in sessions] for _ in range(_ROUNDS)]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def _time(session: Session, image: Array) -> float:
    """Seconds of a call, the least disturbed of several."""
    return min(_seconds(session, image) for _ in range(_CALLS))


def _seconds(session: Session, image: Array) -> float:
    start = time.perf_counter()
    session.run(image)
    return time.perf_counter() - start
