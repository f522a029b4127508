"""int8 variants: which products are quantised, what onnx's evaluator answers, and what TensorRT makes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from model_factory import images, random_model
from onnx.reference import ReferenceEvaluator

from daenr_common.errors import ExportError
from daenr_common.extras import is_installed
from daenr_export.bundle.golden import Golden
from daenr_export.exporting import typed
from daenr_export.exporting.contract import Contract
from daenr_export.exporting.options import Options
from daenr_export.exporting.typed import hold_variants
from daenr_export.graphs.int8 import int8_layers, to_int8
from daenr_export.graphs.make import make_graphs
from daenr_export.graphs.reference import make_golden
from daenr_export.runtime.backends.onnxruntime import OnnxRuntimeBackend
from daenr_export.specs import BatchRange, GraphSpec
from daenr_export.verification.margins import own_margins
from daenr_export.verification.runs import OnnxGraph
from daenr_export.verification.science import HeldOut

pytest.importorskip("onnxruntime")
BATCH = BatchRange(1, 1, 16)
CALIBRATION = images(40, seed=3)


@pytest.fixture(scope="module")
def model():
    return random_model("cnn-fr2")


@pytest.fixture(scope="module")
def graphs(model):
    return make_graphs(model)


@pytest.fixture(scope="module")
def golden(model):
    return Golden(make_golden(model, images(16)))


def contract_of(golden, **margins):
    held_out = HeldOut(golden.images, tuple(f"unit-{index}" for index in range(11)))
    return Contract(golden, held_out, replace(own_margins(), **margins))


def spec_of(graph):
    return GraphSpec(graph.name, graph.input, graph.outputs, BATCH)


def test_the_products_that_are_asked_for_are_quantised_by_channel_and_symmetrically(graphs):
    content = graphs["responses"].onnx
    layers = int8_layers(content)
    assert list(layers.values()) == [32 * 16, 64 * 32 * 16]
    model = onnx.load_from_string(to_int8(content, CALIBRATION, list(layers)[1:]))
    onnx.checker.check_model(model, full_check=True)
    made_by = {node.output[0]: node for node in model.graph.node}
    exact, quantised = (node for node in model.graph.node if node.op_type == "Conv")
    assert exact.input[0] not in made_by
    assert [made_by[name].op_type for name in quantised.input[:2]] == ["DequantizeLinear"] * 2
    assert quantised.input[2] not in made_by  # the bias stays float32
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    scales = [weights[made_by[name].input[1]] for name in quantised.input[:2]]
    assert [scale.size for scale in scales] == [1, 64]
    assert not any(array.any() for name, array in weights.items() if name.endswith("zero_point"))
    kernel = next(array for array in weights.values() if array.shape == (64, 32, 4, 4))
    np.testing.assert_allclose(scales[1], abs(kernel).max((1, 2, 3)) / 127, rtol=1e-5)
    assert [opset.domain for opset in model.opset_import] == [""]


def test_onnxruntime_answers_it_as_the_evaluator_of_onnx_does(graphs):
    graph = graphs["responses"]
    content = to_int8(graph.onnx, CALIBRATION, int8_layers(graph.onnx))
    batch = images(2, seed=8)
    (expected,) = ReferenceEvaluator(onnx.load_from_string(content)).run(None, {"image": batch})
    with OnnxRuntimeBackend().open(OnnxGraph(spec_of(graph), content, "int8")) as session:
        (found,) = session.run(batch)
    # A value that falls on the border of two steps may be rounded either way.
    assert abs(found - expected).max() < 0.02 * abs(expected).max()
    (exact,) = ReferenceEvaluator(onnx.load_from_string(graph.onnx)).run(None, {"image": batch})
    assert 1e-3 < abs(expected - exact).max() / abs(exact).max() < 0.2


def test_the_same_images_give_the_same_bytes(graphs):
    content = graphs["encoder"].onnx
    layers = int8_layers(content)
    first, again = (to_int8(content, CALIBRATION, layers) for _ in range(2))
    assert first == again
    assert first != to_int8(content, CALIBRATION * 0.5, layers)


def test_variants_keep_the_contract_and_say_so(graphs, golden):
    contract = contract_of(golden, correlation_with_reference=0.9)
    made, contracts = hold_variants(graphs, Options(precision="int8", batch=BATCH), CALIBRATION, contract)
    assert set(made["responses"].variants) == {"int8"}
    assert not made["readout"].variants  # it has no product that int8 is for
    found = contracts["responses"]["int8"]
    assert set(found.layers.values()) <= {"int8", "fp32"}
    assert found.kept[0].startswith("responses: correlation with the reference of neuron unit-")


def test_where_no_layer_keeps_the_contract_there_is_no_variant(graphs, golden):
    contract = contract_of(golden, correlation_with_reference=1.0)
    made, contracts = hold_variants(graphs, Options(precision="int8", batch=BATCH), CALIBRATION, contract)
    assert not made["responses"].variants
    found = contracts["responses"]["int8"]
    assert set(found.layers.values()) == {"fp32"}
    assert len(found.fallbacks) == 2


def test_float16_is_held_to_the_contract(model, golden):
    graphs = make_graphs(model, half=True)
    options = Options(precision="fp16", batch=BATCH)
    same, contracts = hold_variants(graphs, options, None, contract_of(golden))
    assert same == graphs
    assert contracts["responses"]["fp16"].kept[0].endswith("at least 0.999 expected")
    with pytest.raises(
        ExportError, match=r"graph \w+: in fp16 breaks the contract: .* of neuron unit-\d+ is .*--precision fp32"
    ):
        hold_variants(graphs, options, None, contract_of(golden, correlation_with_reference=1.0))


def test_graphs_of_features_are_calibrated_on_features(golden, graphs, monkeypatch):
    seen = set()
    original = typed.to_int8

    def noting(content, calibration, nodes):
        seen.add(calibration.shape[1:])
        return original(content, calibration, nodes)

    monkeypatch.setattr(typed, "to_int8", noting)
    model = random_model("cae-fr2")
    golden = Golden(make_golden(model, images(16)))
    hold_variants(make_graphs(model), Options(precision="int8", batch=BATCH), CALIBRATION, contract_of(golden))
    assert seen == {(1, 32, 32), (64, 8, 8)}


@pytest.mark.skipif(not is_installed("tensorrt_rtx"), reason="tensorrt-rtx-cu12 is not installed")
def test_tensorrt_builds_engines_that_compute_in_int8(graphs):
    from daenr_export.tensorrt import RTX, build_engine

    graph = graphs["encoder"]
    content = to_int8(graph.onnx, CALIBRATION, int8_layers(graph.onnx))
    built = build_engine(content, graph=spec_of(graph), precision="int8", flavour=RTX)
    assert (built.precision_requested, built.precision_actual) == ("int8", "int8")
    assert build_engine(graph.onnx, graph=spec_of(graph), precision="int8", flavour=RTX).precision_actual == "fp32"
