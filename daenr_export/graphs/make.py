"""The graphs of a model, as the bytes that go into a bundle."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from daenr_export.graphs.contract import ensure
from daenr_export.graphs.cut import cut
from daenr_export.graphs.half import to_half
from daenr_export.graphs.names import Cut, cuts_of
from daenr_export.graphs.pixels import Pixels, take_pixels
from daenr_export.graphs.trace import trace
from daenr_export.specs import BatchRange, GraphSpec, TensorSpec
from daenr_train.models import DaeNr


@dataclass(frozen=True)
class Graph:
    """One function of a model as ONNX.

    Attributes:
        name: one of the six of `CUTS`.
        onnx: the serialised graph.
        input: what goes in, without the batch axis.
        outputs: what comes out.
        opset: version of the standard operators.
        half: the serialised graph with float16 multiplications, where it was asked for.
        int8: the serialised graph with int8 products, where it was asked for and some layer bears it.
    """

    name: str
    onnx: bytes
    input: TensorSpec
    outputs: tuple[TensorSpec, ...]
    opset: int
    half: bytes | None = None
    int8: bytes | None = None

    def spec(self, batch: BatchRange) -> GraphSpec:
        """Input, outputs and the batch sizes that it is exported for."""
        return GraphSpec(self.name, self.input, self.outputs, batch)

    @property
    def variants(self) -> dict[str, bytes]:
        """The typed variants that the graph has, by precision."""
        found = {"fp16": self.half, "int8": self.int8}
        return {precision: content for precision, content in found.items() if content is not None}


def make_graphs(model: DaeNr, *, pixels: Pixels | None = None, half: bool = False) -> dict[str, Graph]:
    """All graphs that a model has, by name. The same weights give the same bytes.

    Args:
        model: with its trained weights; not changed.
        pixels: let the graphs of an image take uint8 and scale it themselves; None: they take float32 in [-1, 1].
        half: make the float16 variants, too.

    Raises:
        ExportError: a graph could not be made, or is not fit to be deployed.
    """
    traced = trace(model)
    return {name: _finish(cut(traced, name, part), part, pixels, half) for name, part in cuts_of(model.spec).items()}


def _finish(graph: onnx.ModelProto, part: Cut, pixels: Pixels | None, half: bool) -> Graph:
    ensure(graph, part, after="cut")
    variants = [graph]
    if half:
        variants.append(to_half(graph))
        ensure(variants[-1], part, after="half")
    if pixels is not None and part.input == "image":
        variants = [take_pixels(variant, pixels) for variant in variants]
        for variant in variants:
            ensure(variant, part, after="pixels")
    final = variants[0]
    return Graph(
        name=final.graph.name,
        onnx=serialise(final),
        input=_tensor(final.graph.input[0]),
        outputs=tuple(_tensor(value) for value in final.graph.output),
        opset=final.opset_import[0].version,
        half=serialise(variants[1]) if half else None,
    )


def serialise(graph: onnx.ModelProto) -> bytes:
    """The bytes of a graph; the same graph gives the same bytes."""
    content: bytes = graph.SerializeToString(deterministic=True)
    return content


def _tensor(value: onnx.ValueInfoProto) -> TensorSpec:
    kind = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
    return TensorSpec(value.name, str(dtype), tuple(axis.dim_value for axis in kind.shape.dim[1:]))
