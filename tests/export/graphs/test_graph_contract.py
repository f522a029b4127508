from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from model_factory import random_model
from onnx import TensorProto, helper, numpy_helper

from daenr_common.errors import ExportError
from daenr_export.graphs import contract, trace
from daenr_export.graphs.make import make_graphs
from daenr_export.graphs.names import CUTS, Cut, cuts_of, in_order
from daenr_export.graphs.pixels import Pixels
from daenr_export.specs import TensorSpec
from daenr_train.spec import model_names, parse_model_name

RESPONSES = TensorSpec("responses", "float32", (11,))
RECONSTRUCTION = TensorSpec("reconstruction", "float32", (1, 32, 32))
CODES = TensorSpec("codes", "int64", (2, 2))
FEATURES = TensorSpec("features", "float32", (64, 8, 8))


@pytest.fixture(scope="module")
def joint_graphs():
    return make_graphs(random_model("vqvae-fr2"), half=True, pixels=Pixels(1 / 127.5, -1.0))


def protos(graphs):
    for graph in graphs.values():
        yield from (onnx.load_from_string(content) for content in (graph.onnx, graph.half) if content)


@pytest.mark.parametrize("name", model_names())
def test_a_model_has_the_graphs_that_its_parts_allow(name):
    spec = parse_model_name(name, n_neurons=5)
    expected = {"encoder"}
    expected |= {"decoder", "reconstruction"} if spec.autoencoder else set()
    expected |= {"readout", "responses"} if spec.readout else set()
    expected |= {"joint"} if spec.autoencoder and spec.readout else set()
    cuts = cuts_of(spec)
    assert set(cuts) == expected
    assert all(
        ("codes" in cut.outputs) == (name.startswith("vqvae") and "reconstruction" in cut.outputs)
        for cut in cuts.values()
    )


def test_the_tensors_are_the_words_of_the_api(joint_graphs):
    assert {name: (g.input, g.outputs) for name, g in joint_graphs.items()} == {
        "encoder": (TensorSpec("image", "uint8", (1, 32, 32)), (FEATURES,)),
        "decoder": (FEATURES, (RECONSTRUCTION, CODES)),
        "readout": (FEATURES, (RESPONSES,)),
        "responses": (TensorSpec("image", "uint8", (1, 32, 32)), (RESPONSES,)),
        "reconstruction": (TensorSpec("image", "uint8", (1, 32, 32)), (RECONSTRUCTION, CODES)),
        "joint": (TensorSpec("image", "uint8", (1, 32, 32)), (RESPONSES, RECONSTRUCTION, CODES)),
    }


def test_graphs_are_plain_onnx_without_training_or_notes(joint_graphs):
    found = list(protos(joint_graphs))
    assert len(found) == 12
    for model in found:
        onnx.checker.check_model(model, full_check=True)
        operators = {node.op_type for node in model.graph.node}
        assert not operators & {"BatchNormalization", "Abs", "Dropout", "RandomNormalLike"}
        assert [opset.domain for opset in model.opset_import] == [""]
        assert not model.metadata_props
        assert not any(
            proto.metadata_props or proto.doc_string for proto in (*model.graph.node, *model.graph.initializer)
        )


@pytest.mark.parametrize("trace_of", [b".py", b"site-packages", b"stack_trace", str(Path.cwd()).encode(), b"torch.nn"])
def test_no_path_or_stack_trace_leaves_the_machine(joint_graphs, trace_of):
    for graph in joint_graphs.values():
        assert trace_of not in graph.onnx
        assert trace_of not in graph.half


def test_the_same_weights_give_the_same_bytes_and_are_left_alone():
    model = random_model("cae-fr3")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, second = make_graphs(model, half=True), make_graphs(model, half=True)
    assert first == second
    assert all((value == before[name]).all() for name, value in model.state_dict().items())
    assert any(module.__class__.__name__ == "BatchNorm2d" for module in model.modules())


@pytest.mark.slow
def test_another_process_makes_the_same_bytes():
    script = (
        "from model_factory import random_model; from daenr_export.graphs.make import make_graphs; import hashlib;"
        "graphs = make_graphs(random_model('vae-fm2'), half=True).values();"
        "print(*[hashlib.sha256(graph.onnx + graph.half).hexdigest() for graph in graphs])"
    )
    digests = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[1])}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, check=True, text=True
        )
        digests.add(done.stdout)
    assert len(digests) == 1
    assert len(digests.pop().split()) == 6


def test_an_exporter_that_fails_is_one_line(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no decomposition\nfor this operator")

    monkeypatch.setattr(trace.torch.onnx, "export", fail)
    with pytest.raises(
        ExportError, match=r"model cnn-fr1: could not be translated to ONNX by torch .*no decomposition for this"
    ):
        make_graphs(random_model("cnn-fr1"))


def small_graph(operator="Relu", batch="batch", features=4, metadata="", extra_weight=False):
    """`image → features`, as the contract wants it but for what the arguments break."""
    weights = [numpy_helper.from_array(numpy_helper.np.zeros(3, "f4"), "stray")] if extra_weight else []
    graph = helper.make_graph(
        [helper.make_node(operator, ["image"], ["features"], doc_string=metadata)],
        "encoder",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, features])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [batch, features])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


PART = Cut("image", ("features",))


def test_a_sound_graph_passes():
    contract.ensure(small_graph(), PART, after="cut")


@pytest.mark.parametrize(
    ("model", "part", "problem"),
    [
        (small_graph("Abs"), PART, "operators of training are left in it: Abs"),
        (small_graph("Unheard"), PART, "onnx does not accept it"),
        (small_graph(batch="N"), PART, r"image has not the shape \(batch, fixed sizes\)"),
        (small_graph(batch=3), PART, r"image has not the shape \(batch, fixed sizes\)"),
        (small_graph(features="C"), PART, r"features has not the shape"),
        (small_graph(metadata="made here"), PART, "notes of the exporter are left in it"),
        (small_graph(extra_weight=True), PART, "weights that nothing uses: stray"),
        (small_graph(), Cut("image", ("codes",)), r"it goes from \['image'\] to \['features'\], expected image to"),
        (small_graph(), Cut("features", ("features",)), "expected features to"),
    ],
)
def test_a_broken_graph_is_refused_with_the_step_that_broke_it(model, part, problem):
    with pytest.raises(ExportError, match=rf"graph encoder: after the step cut: .*{problem}"):
        contract.ensure(model, part, after="cut")


def test_graphs_are_listed_in_one_order():
    assert in_order(sorted(CUTS)) == list(CUTS)
    assert in_order(["later", "joint", "encoder"]) == ["encoder", "joint", "later"]
