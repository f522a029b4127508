"""What native code does not cover is refused in one line that names the node."""

from __future__ import annotations

import native_graphs
import numpy as np
import onnx
import pytest
from native_graphs import GraphBuilder
from onnx import TensorProto, helper, numpy_helper

from daenr_common.errors import ExportError
from daenr_export.native.reading.graph import read_network
from daenr_export.native.reading.operations import Convolution, Dense, Lookup, Nearest, Readout


def refused(content: bytes) -> str:
    with pytest.raises(ExportError) as caught:
        read_network(content)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("make the native library from a graph that daenr-export wrote")
    return str(caught.value)


def edited(change) -> bytes:
    """A graph of one convolution and an ELU, changed."""
    g = GraphBuilder(2, 8, 8)
    model = onnx.load_from_string(g.build(g.activate(g.conv("image", 4), "Elu")))
    change(model)
    return model.SerializeToString()


def set_attribute(node: int, name: str, value):
    def change(model: onnx.ModelProto) -> None:
        attributes = model.graph.node[node].attribute
        kept = [item for item in attributes if item.name != name]
        del attributes[:]
        attributes.extend([*kept, helper.make_attribute(name, value)])

    return change


def test_a_graph_becomes_typed_operations():
    g = GraphBuilder(3, 8, 8)
    features = g.activate(g.conv("image", 16), "Elu")
    codes, rows = g.quantise(features, 5)
    network = read_network(g.build(g.softplus(g.readout(features, 7)), codes, g.dense(g.flatten(rows), 9)))
    kinds = [type(operation) for operation in network.operations]
    assert kinds.count(Convolution) == 2  # the second gives the distances from the codes
    assert {Readout, Nearest, Lookup, Dense} < set(kinds)
    assert [spec.shape for spec in network.outputs] == [(7,), (4, 4), (9,)]


def test_what_no_output_needs_is_left_out():
    g = GraphBuilder(2, 8, 8)
    wanted = g.conv("image", 3)
    g.conv("image", 5)
    assert len(read_network(g.build(wanted)).operations) == 1


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (set_attribute(0, "group", 2), "node node_conv_0 (Conv): has the attribute group = 2, which"),
        (set_attribute(0, "dilations", [2, 2]), "node node_conv_0 (Conv): has the attribute dilations = [2, 2]"),
        (set_attribute(0, "auto_pad", "SAME_UPPER"), "has the attribute auto_pad = SAME_UPPER"),
        (set_attribute(0, "pads", [-1, 0, 0, 0]), "has pads [-1, 0, 0, 0] and strides [2, 2], which"),
        (set_attribute(0, "kernel_shape", [3, 3]), "kernel_shape = [3, 3], but a kernel of (4, 4)"),
        (set_attribute(1, "alpha", 0.5), "node node_elu_1 (Elu): has the attribute alpha = 0.5"),
    ],
)
def test_attributes(change, problem):
    assert problem in refused(edited(change))


def test_operations():
    def change(model):
        model.graph.node[1].op_type = "Relu"
        del model.graph.node[1].attribute[:]

    assert refused(edited(change)).startswith(
        "node node_elu_1 (Relu): is an operation that native code does not cover; "
    )


@pytest.mark.parametrize(
    ("domain", "version", "found"), [("", 11, "{'': 11}"), ("", 99, "{'': 99}"), ("ai.onnx.ml", 3, "'ai.onnx.ml': 3")]
)
def test_opsets(domain, version, found):
    def change(model):
        if domain:
            model.opset_import.append(helper.make_opsetid(domain, version))
        model.opset_import[0].version = 20 if domain else version

    message = refused(edited(change))
    assert message.startswith("graph test: uses the operators {")
    assert f"{found}" in message
    assert "expected the standard set, 18 to 23" in message


def test_dynamic_shapes():
    def change(model):
        model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"

    assert refused(edited(change)).startswith("tensor image: has not the shape (batch, fixed sizes)")


def test_types_of_inputs_and_weights():
    def half_input(model):
        model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16

    def half_weight(model):
        weight = model.graph.initializer[0]
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), weight.name))

    assert refused(edited(half_input)).startswith("tensor image: is float16, expected one of float32, uint8, int64")
    assert "node node_conv_0 (Conv): has a weight of float16, expected float32" in refused(edited(half_weight))


def test_shapes_of_weights():
    def change(model):
        weight = model.graph.initializer[0]
        weight.CopyFrom(numpy_helper.from_array(np.zeros((4, 3, 4, 4), np.float32), weight.name))

    assert "has a weight of the shape (4, 3, 4, 4), expected (None, 2, None, None)" in refused(edited(change))


def test_an_empty_map():
    g = GraphBuilder(1, 8, 8)
    name = g.conv("image", 2)
    model = onnx.load_from_string(g.build(name))
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 1
    assert "computes first with the empty shape (2, 0, 4)" in refused(model.SerializeToString())


def test_several_inputs_and_none():
    def another(model):
        model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, ["batch", 3]))

    assert refused(edited(another)).startswith("graph test: has 2 inputs and 1 outputs, expected 1 and at least 1")


def test_an_output_that_is_no_value():
    def change(model):
        model.graph.output[0].name = model.graph.initializer[0].name

    assert "is not computed as float32 (4, 4, 4)" in refused(edited(change))


def test_uses_of_covered_operations_that_none_of_our_graphs_has():
    g = GraphBuilder(4)
    added = g.node("Add", "image", g.weight(1.0), shape=(4,))
    assert "(Add): is applied to (value, constant), a use that native code does not cover" in refused(g.build(added))
    g = GraphBuilder(4, 2, 2)
    turned = g.node("Reshape", "image", g.weight([-1, 2, 8], np.int64), shape=(2, 8), allowzero=1)
    assert "(Reshape): makes (-1, 2, 8) of ('batch', 4, 2, 2), a change of shape" in refused(g.build(turned))
    g = GraphBuilder(4)
    above = g.node("Greater", "image", g.weight(1.0))
    chosen = g.node("Where", above, "image", g.node("Softplus", "image"), shape=(4,))
    assert "chooses between values that are no softplus and its argument" in refused(g.build(chosen))


def test_no_onnx_at_all():
    assert refused(b"no ONNX").startswith("ONNX graph: cannot be parsed")
    assert refused(native_graphs.autoencoder()[:2000]).startswith("ONNX graph: cannot be parsed")
