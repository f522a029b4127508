"""Small graphs for TensorRT, their specifications, and bundles' graphs that hold an engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from bundle_factory import BATCH, GRAPHS, image_input, onnx_graph, tensor
from onnx import TensorProto, helper, numpy_helper

from daenr_export.bundle.manifest import EngineEntry
from daenr_export.specs import BatchRange, GraphSpec
from daenr_export.tensorrt import RTX, BuiltEngine, Precision, build_usual_engine


def spec_of(name: str, pixels: str = "float32", batch: BatchRange = BATCH) -> GraphSpec:
    source, outputs = GRAPHS[name]
    return GraphSpec(name, image_input(source, pixels), tuple(tensor(output) for output in outputs), batch)


def half_graph(name: str) -> bytes:
    """A graph of one branch that computes in float16, its input and output float32."""
    model = onnx.load_from_string(onnx_graph(name))
    graph = model.graph
    source, output = graph.input[0].name, graph.output[0].name
    for node in graph.node:
        node.input[:] = ["half_in" if value == source else value for value in node.input]
        node.output[:] = ["half_out" if value == output else value for value in node.output]
    for weight in graph.initializer:
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), weight.name))
    graph.node.insert(0, helper.make_node("Cast", [source], ["half_in"], to=TensorProto.FLOAT16))
    graph.node.append(helper.make_node("Cast", ["half_out"], [output], to=TensorProto.FLOAT))
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def with_other_weights(model: bytes, which: str, factor: float = 1.01) -> bytes:
    """The same graph, one of its weights multiplied."""
    graph = onnx.load_from_string(model)
    weight = next(tensor for tensor in graph.graph.initializer if tensor.name == which)
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(factor), which))
    return graph.SerializeToString()


def built(name: str = "responses", precision: Precision = "fp32", pixels: str = "float32") -> BuiltEngine:
    model = half_graph(name) if precision == "fp16" else onnx_graph(name, pixels)
    return build_usual_engine(model, graph=spec_of(name, pixels), precision=precision, flavour=RTX)


def record_of(engine: BuiltEngine, graph: str) -> EngineEntry:
    return EngineEntry(
        graph=graph,
        file=f"engines/{engine.flavour}/{graph}.{engine.precision_requested}.engine",
        flavour=engine.flavour,
        tensorrt_version=engine.tensorrt_version,
        precision_requested=engine.precision_requested,
        precision_actual=engine.precision_actual,
        compute_capabilities=engine.compute_capabilities,
        batch=engine.batch,
        build_seconds=engine.build_seconds,
    )


@dataclass(frozen=True)
class GraphWithEngine:
    """A graph of a bundle, as backends see it."""

    spec: GraphSpec
    plan: bytes
    cache_folder: Path | None = None

    def onnx(self) -> bytes:
        raise AssertionError("the backend runs engines")

    def engine(self, flavour: str) -> bytes:
        assert flavour in ("tensorrt-rtx", "tensorrt")
        return self.plan
