"""What every graph of a bundle must be. Checked after each step of the export, so that a failure names its step."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from daenr_common.errors import ExportError
from daenr_export.graphs.names import BATCH_AXIS, Cut

TRAINING_ONLY = frozenset({"Abs", "BatchNormalization", "Dropout", "RandomNormal", "RandomNormalLike"})
"""Operators that only training needs: a mask's |·|, batch norm that was not folded, sampling."""


def ensure(model: onnx.ModelProto, part: Cut, *, after: str) -> None:
    """Check that a graph can be deployed.

    Args:
        model: the graph; its name says which of the six it is.
        part: its input and outputs.
        after: the step that made it.

    Raises:
        ExportError: it breaks the contract; all that is wrong is listed.
    """
    problems = [*_problems(model, part), *_checker(model)]
    if problems:
        remedy = "install versions of torch, onnx and onnxscript that belong together, or report a defect of daenr"
        raise ExportError(f"graph {model.graph.name}", f"after the step {after}: {'; '.join(problems)}", remedy)


def _problems(model: onnx.ModelProto, part: Cut) -> Iterator[str]:
    graph = model.graph
    inputs, outputs = [value.name for value in graph.input], [value.name for value in graph.output]
    if inputs != [part.input] or outputs != list(part.outputs):
        yield f"it goes from {inputs} to {outputs}, expected {part.input} to {list(part.outputs)}"
    if [opset.domain for opset in model.opset_import] != [""] or model.functions:
        yield "it needs operators outside of the standard set"
    if left := sorted({node.op_type for node in graph.node} & TRAINING_ONLY):
        yield f"operators of training are left in it: {', '.join(left)}"
    for value in (*graph.input, *graph.output):
        batch, *rest = value.type.tensor_type.shape.dim
        if batch.dim_param != BATCH_AXIS or any(not axis.HasField("dim_value") for axis in rest):
            yield f"{value.name} has not the shape (batch, fixed sizes)"
    used = {name for node in graph.node for name in node.input}
    if unused := sorted({tensor.name for tensor in graph.initializer} - used):
        yield f"weights that nothing uses: {', '.join(unused)}"
    if any(proto.metadata_props or proto.doc_string for proto in (model, graph, *graph.node, *graph.initializer)):
        yield "notes of the exporter are left in it"


def _checker(model: onnx.ModelProto) -> Iterator[str]:
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        yield f"onnx does not accept it: {error}"
