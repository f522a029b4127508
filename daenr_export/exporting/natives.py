"""Libraries of compiled C for a bundle's graphs, one for each graph and target."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from daenr_export.bundle import NativeEntry
from daenr_export.bundle.golden import Golden
from daenr_export.exporting.contract import Contract, Shortened
from daenr_export.exporting.describe import native_file
from daenr_export.exporting.native_layers import shorten
from daenr_export.exporting.options import Options
from daenr_export.graphs.make import Graph
from daenr_export.native import make_library
from daenr_export.native.targets import find_target
from daenr_export.runtime.backends.native_library import ABI
from daenr_export.specs import GraphSpec


@dataclass(frozen=True)
class NativeFile:
    """A library as it goes into a bundle: the manifest's entry, and its bytes."""

    entry: NativeEntry
    content: bytes


HEADER_FILE = "native/daenr_native.h"
"""Where the interface of the libraries is in a bundle."""


def header() -> bytes:
    """The interface of the libraries, for programs in C."""
    return resources.files("daenr_export.native").joinpath("c", "daenr_native.h").read_bytes()


def build_natives(graphs: Iterable[Graph], contract: Contract, options: Options) -> list[NativeFile]:
    """Compile each graph for each target, each with the shortest numbers that were asked for and keep the contract.

    Raises:
        ExportError: a graph holds an operation that there is no C for, the compiler fails, a target does not compute
            in shorter numbers, or this processor cannot try them.
        MissingExtraError: the compiler is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="daenr-native-") as folder:
        return [file for graph in graphs for file in _build_all(graph, contract, options, Path(folder))]


def _build_all(graph: Graph, contract: Contract, options: Options, folder: Path) -> Iterator[NativeFile]:
    spec = graph.spec(options.batch)
    shortened = None
    if options.precision != "fp32":
        shortened = shorten(graph, spec, options.precision, contract, folder)
    for target in options.targets:
        yield _build(graph, spec, target, contract.golden, options, shortened, folder)


def _build(
    graph: Graph,
    spec: GraphSpec,
    target: str,
    golden: Golden,
    options: Options,
    shortened: Shortened | None,
    folder: Path,
) -> NativeFile:
    if shortened and not find_target(target).multiplying(shortened.precision):
        shortened = None  # that target's library is the float32 one
    precision = shortened.precision if shortened else "fp32"
    first = shortened.held.best_image if shortened else 0
    file = native_file(target, graph.name, precision)
    library = make_library(
        graph.onnx,
        graph_name=graph.name,
        precision=precision,
        target=target,
        golden_input=golden.inputs(spec)[first : first + 1],
        golden_outputs={name: array[first : first + 1] for name, array in golden.references(spec).items()},
        max_batch=options.batch.max,
        destination=folder / file,
        layers=shortened.layers if shortened else None,
    )
    entry = NativeEntry(
        graph=graph.name,
        file=file,
        target=target,
        instruction_sets=library.instruction_sets,
        abi=ABI,
        precision_requested=options.precision,
        precision_actual=precision,
        compiler=library.compiler,
        build_seconds=library.seconds,
        contract=shortened.entry if shortened else None,
    )
    return NativeFile(entry, library.path.read_bytes())
