"""A graph out of the traced one: from a tensor to others, with the nodes and weights between them and nothing else."""

from __future__ import annotations

import onnx
from onnx.utils import Extractor

from daenr_export.graphs.names import Cut


def cut(traced: onnx.ModelProto, name: str, part: Cut) -> onnx.ModelProto:
    """Cut `part` out of the traced model, name it, and leave behind what the exporter noted for itself.

    Its notes (stack traces, source paths, scopes) name files of the machine that exported, so that the same checkpoint
    would give other bytes elsewhere.
    """
    extracted = Extractor(traced).extract_model([part.input], list(part.outputs)).graph
    graph = onnx.helper.make_graph(extracted.node, name, extracted.input, extracted.output, extracted.initializer)
    for proto in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        proto.ClearField("metadata_props")
        proto.ClearField("doc_string")
    model = onnx.helper.make_model(graph, opset_imports=traced.opset_import, ir_version=traced.ir_version)
    model.producer_name, model.producer_version = traced.producer_name, traced.producer_version
    return model
