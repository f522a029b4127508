"""Typed variants of graphs under contract: float16, and int8 with explicit Q/DQ for as many layers as it allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from daenr_common.errors import ExportError
from daenr_export.bundle import ContractEntry
from daenr_export.exporting.contract import Contract, fall_back, hold
from daenr_export.exporting.options import Options
from daenr_export.graphs.int8 import int8_layers, to_int8
from daenr_export.graphs.make import Graph
from daenr_export.runtime.backends.onnxruntime import OnnxRuntimeBackend
from daenr_export.runtime.protocol import Session
from daenr_export.specs import Array, BatchRange
from daenr_export.verification.runs import OnnxGraph

MOST_IMAGES = 256
"""For calibration: the largest values of so many images are those of any."""


Contracts = dict[str, dict[str, ContractEntry]]


def hold_variants(
    graphs: Mapping[str, Graph], options: Options, calibration: Array | None, contract: Contract
) -> tuple[dict[str, Graph], Contracts]:
    """Hold float16 variants against the contract, or make int8 variants that keep it.

    Args:
        graphs: by name.
        options: of the export.
        calibration: images that the model was fitted to, as the graphs take them; for int8.
        contract: to keep.

    Returns:
        The graphs, and what was found about their variants, by graph and precision.

    Raises:
        ExportError: float16 breaks the contract.
        BackendUnavailableError: onnxruntime is not installed.
    """
    if calibration is not None:
        return _quantise_all(graphs, options.batch, calibration, contract)
    return dict(graphs), {name: {"fp16": _hold_half(graph, options.batch, contract)} for name, graph in graphs.items()}


def _hold_half(graph: Graph, batch: BatchRange, contract: Contract) -> ContractEntry:
    spec = graph.spec(batch)
    with OnnxRuntimeBackend().open(OnnxGraph(spec, graph.variants["fp16"], "fp16")) as session:
        held = hold(session, spec, "fp16", contract)
    if held.broken:
        problem = f"in fp16 breaks the contract: {'; '.join(held.broken)}"
        raise ExportError(f"graph {graph.name}", problem, "export with --precision fp32")
    return ContractEntry({}, held.kept, held.not_measured, ())


def _quantise_all(
    graphs: Mapping[str, Graph], batch: BatchRange, images: Array, contract: Contract
) -> tuple[dict[str, Graph], Contracts]:
    images = images[:: -(-len(images) // MOST_IMAGES)]
    encoder = graphs["encoder"]
    spec = encoder.spec(BatchRange(1, 1, len(images)))
    with OnnxRuntimeBackend().open(OnnxGraph(spec, encoder.onnx, "fp32")) as session:
        features = session.run(images)[0]
    quantised, contracts = {}, {}
    for name, graph in graphs.items():
        seen = images if graph.input.name == "image" else features
        quantised[name], found = _quantise(graph, batch, seen, contract)
        contracts[name] = {"int8": found}
    return quantised, contracts


def _quantise(graph: Graph, batch: BatchRange, calibration: Array, contract: Contract) -> tuple[Graph, ContractEntry]:
    """The graph with an int8 variant, for as many layers as keep the contract; without one where none does."""
    spec = graph.spec(batch)

    def content(layers: Mapping[str, str]) -> bytes:
        return to_int8(graph.onnx, calibration, [name for name, precision in layers.items() if precision == "int8"])

    def open_(layers: Mapping[str, str]) -> Session:
        return OnnxRuntimeBackend().open(OnnxGraph(spec, content(layers), "int8"))

    weights = int8_layers(graph.onnx)
    shortened = fall_back(spec, weights, dict.fromkeys(weights, "int8"), {"int8": "fp32"}, contract, open_)
    if shortened.precision == "fp32":
        return graph, shortened.entry
    return replace(graph, int8=content(shortened.layers)), shortened.entry
