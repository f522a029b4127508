from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from model_factory import images, random_model
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

from daenr_common.errors import ExportError
from daenr_export.graphs import trace
from daenr_export.graphs.half import to_half
from daenr_export.graphs.make import make_graphs
from daenr_export.graphs.pixels import Pixels
from daenr_train.models import inference_parts

MODELS = ["cae-fr2", "vae-fc3", "vqvae-fm1"]


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return random_model(request.param)


@pytest.fixture(scope="module")
def graphs(model):
    return make_graphs(model, half=True)


def answer(content: bytes, batch: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: batch}), strict=True))


def refer(content: bytes, batch: np.ndarray) -> dict[str, np.ndarray]:
    evaluator = ReferenceEvaluator(content)
    return dict(zip(evaluator.output_names, evaluator.run(None, {evaluator.input_names[0]: batch}), strict=True))


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_parts_answer_as_pytorch_in_float64(model, graphs, batch):
    parts = inference_parts(model.double())
    model.float()
    image = images(batch, seed=batch)
    features = answer(graphs["encoder"].onnx, image)["features"]
    exact = parts["encoder"](torch.from_numpy(image).double()).numpy()
    np.testing.assert_allclose(features, exact, atol=2e-6 * np.abs(exact).max())
    given = torch.from_numpy(features).double()
    responses, decoded = parts["readout"](given).numpy(), [part.numpy() for part in parts["decoder"](given)]
    found = answer(graphs["decoder"].onnx, features)
    np.testing.assert_allclose(answer(graphs["readout"].onnx, features)["responses"], responses, atol=2e-5)
    np.testing.assert_allclose(found["reconstruction"], decoded[0], atol=2e-6)
    for codes in decoded[1:]:
        np.testing.assert_array_equal(found["codes"], codes)


def test_a_fused_graph_is_exactly_its_parts(graphs):
    # On the reference evaluator, which fuses nothing: bit for bit.
    image = images(2)
    features = refer(graphs["encoder"].onnx, image)["features"]
    parts = refer(graphs["readout"].onnx, features) | refer(graphs["decoder"].onnx, features)
    for name in ("responses", "reconstruction", "joint"):
        fused = refer(graphs[name].onnx, image)
        assert set(fused) == {output.name for output in graphs[name].outputs}
        for output, values in fused.items():
            np.testing.assert_array_equal(values, parts[output])


def test_a_graph_of_pixels_is_the_graph_of_what_they_mean(model, graphs):
    of_pixels = make_graphs(model, half=True, pixels=Pixels(1 / 127.5, -1.0))
    pixels = np.random.default_rng(0).integers(0, 256, (4, 1, 32, 32), dtype=np.uint8)
    pixels[0, 0, 0, :2] = 0, 255
    image = (pixels / 127.5 - 1).astype(np.float32)
    for name in ("encoder", "responses", "reconstruction", "joint"):
        assert of_pixels[name].input.dtype == "uint8"
        for output, values in answer(graphs[name].onnx, image).items():
            np.testing.assert_allclose(answer(of_pixels[name].onnx, pixels)[output], values, atol=2e-5)
    for name in ("decoder", "readout"):
        assert of_pixels[name] == graphs[name]


def test_folding_batch_norm_changes_no_answer(model):
    parts = inference_parts(model)
    image, plain = torch.from_numpy(images(3)), torch.nn.ModuleDict(parts)
    with torch.no_grad():
        before = [parts["encoder"](image), parts["decoder"](parts["encoder"](image))[0]]
        trace.fold_batch_norm(plain)
        after = [parts["encoder"](image), parts["decoder"](parts["encoder"](image))[0]]
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in plain.modules())
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_typed_graphs_multiply_in_half_and_speak_float32(graphs):
    for name, graph in graphs.items():
        half, full = onnx.load_from_string(graph.half), onnx.load_from_string(graph.onnx)
        weights = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
        for node in half.graph.node:
            if node.op_type in ("Conv", "ConvTranspose", "Gemm"):
                assert [weights[name] for name in node.input[1:]] == [TensorProto.FLOAT16] * (len(node.input) - 1)
        assert [value.type for value in half.graph.output] == [value.type for value in full.graph.output]
        batch = images(3) if graph.input.name == "image" else answer(graphs["encoder"].onnx, images(3))["features"]
        answers = answer(graph.half, batch)
        for output, values in answer(graph.onnx, batch).items():
            assert answers[output].dtype == values.dtype
            if output != "codes":
                error = np.abs(answers[output] - values).max() / np.abs(values).max()
                assert 0 < error < 1e-2, (name, output)


def test_the_comparison_with_the_codebook_stays_float32():
    half = onnx.load_from_string(make_graphs(random_model("vqvae"), half=True)["decoder"].half)
    inferred = onnx.shape_inference.infer_shapes(half, strict_mode=True, data_prop=True)
    types = {value.name: value.type.tensor_type.elem_type for value in inferred.graph.value_info}
    types |= {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    made_by = {output: node for node in half.graph.node for output in node.output}
    (argmin,) = (node for node in half.graph.node if node.op_type == "ArgMin")
    subtract = made_by[argmin.input[0]]
    multiply = next(made_by[name] for name in subtract.input if name in made_by)
    assert (subtract.op_type, multiply.op_type) == ("Sub", "MatMul")
    assert {types[name] for node in (subtract, multiply) for name in node.input} == {TensorProto.FLOAT}
    (gather,) = (node for node in half.graph.node if node.op_type == "Gather")
    assert types[gather.output[0]] == TensorProto.FLOAT16


def test_a_weight_beyond_float16_is_refused(graphs):
    model = onnx.load_from_string(graphs["encoder"].onnx)
    weight = model.graph.initializer[0]
    values = numpy_helper.to_array(weight).copy()
    values.flat[0] = 70_000
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    with pytest.raises(
        ExportError, match=r"holds 7e\+04, which is above float16's 65504; export with --precision fp32"
    ):
        to_half(model)
