"""TensorRT engines of a bundle's graphs, with the audit of what they compute in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from daenr_common.errors import ExportError
from daenr_export.bundle import EngineEntry
from daenr_export.exporting.describe import engine_file
from daenr_export.exporting.options import Options
from daenr_export.graphs.make import Graph
from daenr_export.tensorrt import Flavour, Precision, build_usual_engine


@dataclass(frozen=True)
class EngineFile:
    """An engine as it goes into a bundle: the manifest's entry, and its bytes."""

    entry: EngineEntry
    content: bytes


def build_engines(graphs: Iterable[Graph], flavour: Flavour, options: Options) -> list[EngineFile]:
    """Build an engine for each graph.

    Raises:
        ExportError: TensorRT does not take a graph, or an engine computes in another precision than was asked for.
    """
    return [_build(graph, flavour, options) for graph in graphs]


def _build(graph: Graph, flavour: Flavour, options: Options) -> EngineFile:
    # Where no layer of a graph bears int8, its engine is a float32 one, and says so.
    precision = "fp32" if options.precision == "int8" and graph.int8 is None else options.precision
    built = build_usual_engine(
        _source(graph, precision),
        graph=graph.spec(options.batch),
        precision=cast("Precision", precision),
        flavour=flavour,
    )
    audit(graph.name, precision, built.precision_actual)
    entry = EngineEntry(
        graph=graph.name,
        file=engine_file(built.flavour, graph.name, precision),
        flavour=built.flavour,
        tensorrt_version=built.tensorrt_version,
        precision_requested=built.precision_requested,
        precision_actual=built.precision_actual,
        compute_capabilities=built.compute_capabilities,
        batch=built.batch,
        build_seconds=built.build_seconds,
    )
    return EngineFile(entry, built.plan)


def _source(graph: Graph, precision: str) -> bytes:
    return graph.variants.get(precision, graph.onnx)


def audit(graph: str, requested: str, actual: str) -> None:
    """Raise ExportError unless an engine computes in the precision that was asked for.

    TensorRT builds a float32 graph that is asked for as float16 without a word, in float32.
    """
    if requested != actual:
        problem = f"computes in {actual}, and {requested} was asked for"
        raise ExportError(f"engine of the graph {graph}", problem, f"export with --precision {actual}")
