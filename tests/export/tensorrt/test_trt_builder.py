"""Engines built for real: what is taken, what is refused and how, and what precision comes out."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest
from bundle_factory import GRAPHS, onnx_graph, tensor
from engine_factory import built, half_graph, spec_of

from daenr_common.errors import BackendUnavailableError, ExportError, MissingExtraError, SpecError
from daenr_common.hashing import sha256_of
from daenr_export.specs import BatchRange, TensorSpec
from daenr_export.tensorrt import ENTERPRISE, RTX, build_engine, builder
from daenr_export.tensorrt.builder import configure
from daenr_export.tensorrt.network import parse, precision_of

tensorrt_rtx = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx-cu12 is not installed")


@pytest.mark.parametrize("pixels", ["float32", "uint8"])
@pytest.mark.parametrize("name", GRAPHS)
def test_every_graph_of_a_bundle_builds(name: str, pixels: str) -> None:
    engine = built(name, pixels=pixels)

    assert len(engine.plan) > 10_000
    assert engine.flavour == "tensorrt-rtx"
    assert engine.tensorrt_version == tensorrt_rtx.__version__
    assert engine.batch == BatchRange(1, 1, 8)
    assert engine.compute_capabilities == ("8.0", "8.6", "8.9", "12.0")
    assert 0 < engine.build_seconds < 60


@pytest.mark.parametrize("precision", ["fp32", "tf32", "fp16"])
def test_the_precision_is_the_graphs(precision: str) -> None:
    engine = built("responses", precision)

    assert (engine.precision_requested, engine.precision_actual) == (precision, precision)


def test_a_float32_graph_asked_for_as_fp16_is_found_out() -> None:
    engine = build_engine(onnx_graph("joint"), graph=spec_of("joint"), precision="fp16", flavour=RTX)

    assert (engine.precision_requested, engine.precision_actual) == ("fp16", "fp32")


def test_a_float16_graph_asked_for_as_fp32_is_found_out() -> None:
    engine = build_engine(half_graph("responses"), graph=spec_of("responses"), precision="fp32", flavour=RTX)

    assert (engine.precision_requested, engine.precision_actual) == ("fp32", "fp16")


@pytest.mark.parametrize(
    ("types", "precision"),
    [("HHHF", "fp16"), ("HHF", "fp16"), ("FFH", "fp32"), ("", "fp32"), ("B", "bf16")],
)
def test_most_layers_decide(types: str, precision: str) -> None:
    """Here an element-wise layer, a reduction or a cast is no compute layer, whatever its type."""
    names = {"H": "HALF", "F": "FLOAT", "B": "BF16"}
    layers = [("CONVOLUTION", names[letter]) for letter in types] + [("ELEMENTWISE", "HALF")] * 9
    network = SimpleNamespace(num_layers=len(layers), get_layer=lambda index: FakeLayer(*layers[index]))

    assert precision_of(SimpleNamespace(network=network), tf32=False) == precision


class FakeLayer:
    def __init__(self, kind: str, dtype: str) -> None:
        self.type, self._dtype = SimpleNamespace(name=kind), SimpleNamespace(name=dtype)

    def get_input(self, index: int) -> SimpleNamespace:
        return SimpleNamespace(name="")

    def get_output(self, index: int) -> SimpleNamespace:
        return SimpleNamespace(dtype=self._dtype, name="out")


@pytest.mark.parametrize("tf32", [False, True])
def test_tf32_is_what_was_asked_for_though_tensorrt_sets_it_by_default(tf32: bool) -> None:
    graph = spec_of("encoder")
    parsed = parse(tensorrt_rtx, onnx_graph("encoder"), graph)
    flag = tensorrt_rtx.BuilderFlag.TF32

    assert parsed.builder.create_builder_config().get_flag(flag)
    config = configure(parsed, graph, tf32=tf32)
    assert config.get_flag(flag) == tf32
    assert config.num_optimization_profiles == 1


def test_the_engine_depends_on_precision_and_batch_range() -> None:
    ranges = [BatchRange(1, 1, 8), BatchRange(1, 4, 8), BatchRange(1, 1, 16), BatchRange(2, 2, 2)]
    plans = {
        build_engine(onnx_graph("readout"), graph=spec_of("readout", batch=batch), precision="fp32", flavour=RTX).plan
        for batch in ranges
    }

    assert len(plans | {built("readout", "tf32").plan}) == len(ranges) + 1


def test_a_graph_of_one_branch_builds_to_the_same_bytes_in_every_process() -> None:
    code = "import hashlib; from engine_factory import built; print(hashlib.sha256(built().plan).hexdigest())"
    here = Path(__file__).parent
    paths = f"import sys; sys.path[:0] = [{str(here)!r}, {str(here.parent)!r}]; "
    other = subprocess.run([sys.executable, "-c", paths + code], capture_output=True, text=True, check=True)

    assert {sha256_of(built().plan), sha256_of(built().plan)} == {other.stdout.strip()}


def test_compute_capabilities_can_be_named() -> None:
    engine = build_engine(
        onnx_graph("encoder"),
        graph=spec_of("encoder"),
        precision="fp32",
        flavour=RTX,
        compute_capabilities=["8.6", "12.0"],
    )

    assert engine.compute_capabilities == ("8.6", "12.0")
    assert engine.plan != built("encoder").plan


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"precision": "int4"}, r"precision int4: does not exist; choose fp32, tf32, fp16, int8"),
        ({"compute_capabilities": ["9.0"]}, r"cannot build for compute capability 9\.0; choose from .*8\.6"),
    ],
)
def test_settings_that_do_not_exist(arguments: dict[str, object], message: str) -> None:
    defaults = {"graph": spec_of("encoder"), "precision": "fp32", "flavour": RTX}

    with pytest.raises(SpecError, match=message):
        build_engine(onnx_graph("encoder"), **{**defaults, **arguments})


def refusal(model: bytes | onnx.ModelProto, **arguments: object) -> str:
    """The one line that building a graph ends with."""
    content = model if isinstance(model, bytes) else model.SerializeToString()
    defaults = {"graph": spec_of("responses"), "precision": "fp32", "flavour": RTX}
    with pytest.raises(ExportError) as caught:
        build_engine(content, **{**defaults, **arguments})
    line = str(caught.value)
    assert "\n" not in line
    assert "cudaError 35" not in line  # the missing driver is not what is wrong
    assert "/_src/" not in line
    return line


def test_bytes_that_are_no_graph() -> None:
    assert "Failed to parse the ONNX model" in refusal(b"not a graph")


def test_an_operator_that_does_not_exist_is_named_with_its_node() -> None:
    model = onnx.load_from_string(onnx_graph("responses"))
    model.graph.node[1].op_type, model.graph.node[1].name = "Ellu", "stage_elu"

    assert "node stage_elu (Ellu): " in refusal(model)


def test_a_node_without_a_name_goes_by_its_number() -> None:
    model = onnx.load_from_string(onnx_graph("responses"))
    model.graph.node[3].input[1] = "nowhere"

    assert "node 3 (MatMul): " in refusal(model)


def test_shapes_that_do_not_fit() -> None:
    model = onnx.load_from_string(onnx_graph("responses"))
    weights = next(weight for weight in model.graph.initializer if weight.name == "weights")
    weights.dims[:] = [128, 10]

    assert "last dimension of input0 = 256 and second to last dimension of input1 = 128" in refusal(model)


def test_what_the_builder_cannot_compile() -> None:
    line = refusal(onnx_graph("responses"), compute_capabilities=["7.5"])

    assert "engine of the graph responses: could not be built: " in line
    assert "FP32 GEMM is not supported" in line


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (spec_of("responses", "uint8"), "input image ('float32', -1, 1, 32, 32) instead of ('uint8', -1, 1, 32, 32)"),
        (spec_of("reconstruction"), "outputs ['responses'] instead of ['reconstruction', 'codes']"),
        (spec_of("responses")._replace(input=tensor("features")), "inputs ['image'] instead of ['features']"),
        (
            spec_of("responses")._replace(outputs=(TensorSpec("responses", "float32", (7,)),)),
            "output responses ('float32', -1, 5) instead of ('float32', -1, 7)",
        ),
    ],
)
def test_a_graph_that_is_not_as_specified(graph: object, message: str) -> None:
    assert message in refusal(onnx_graph("responses"), graph=graph)


def test_a_batch_range_out_of_order() -> None:
    line = refusal(onnx_graph("responses"), graph=spec_of("responses", batch=BatchRange(4, 2, 8)))

    assert "does not take batches of 4 to 8, tuned for 2: " in line
    assert "MIN<=OPT<=MAX" in line


def test_enterprise_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)

    with pytest.raises(
        MissingExtraError, match=r"building an engine of the graph encoder .* pip install 'daenr\[gpu\]'"
    ):
        build_engine(onnx_graph("encoder"), graph=spec_of("encoder"), precision="fp32", flavour=ENTERPRISE)


def needs_its_gpu(monkeypatch: pytest.MonkeyPatch, *, gpu: bool) -> object:
    """The Enterprise flavour, its module played by RTX's, on a machine with or without a GPU."""
    monkeypatch.setattr(builder, "why_no_gpu", lambda: None if gpu else "no CUDA driver (libcuda.so.1) on this machine")
    monkeypatch.setattr(builder, "compute_capability", lambda: "9.0")
    return replace(ENTERPRISE, module="tensorrt_rtx")


def test_enterprise_builds_only_where_its_gpu_is(monkeypatch: pytest.MonkeyPatch) -> None:
    flavour = needs_its_gpu(monkeypatch, gpu=False)

    with pytest.raises(BackendUnavailableError, match="builds engines only where its GPU is: no CUDA driver"):
        build_engine(onnx_graph("encoder"), graph=spec_of("encoder"), precision="fp32", flavour=flavour)


def test_enterprise_builds_for_the_gpu_that_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    flavour = needs_its_gpu(monkeypatch, gpu=True)
    arguments = {"graph": spec_of("encoder"), "precision": "fp32", "flavour": flavour}

    assert build_engine(onnx_graph("encoder"), **arguments).compute_capabilities == ("9.0",)
    with pytest.raises(SpecError, match=r"builds for the GPU that it finds, not for 8\.6"):
        build_engine(onnx_graph("encoder"), **arguments, compute_capabilities=["8.6"])


@pytest.mark.parametrize(
    ("sizes", "taken"), [([7, 7], 2), ([9, 7, 7], 3), ([7, 9, 7], 3), ([1, 2, 3, 4], 4), ([1, 2, 3, 1], 4)]
)
def test_of_builds_the_first_whose_size_was_seen_before_is_taken(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], taken: int
) -> None:
    made = [SimpleNamespace(plan=bytes(size)) for size in sizes]
    left = iter(made)
    monkeypatch.setattr(builder, "build_engine", lambda *_, **__: next(left))
    found = builder.build_usual_engine(b"", graph=spec_of("encoder"), precision="fp32", flavour=RTX)
    assert found is made[taken - 1]


def test_an_engine_that_is_built_on_its_gpu_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [SimpleNamespace(plan=b"1"), SimpleNamespace(plan=b"2")]
    monkeypatch.setattr(builder, "build_engine", lambda *_, **__: made.pop(0))
    found = builder.build_usual_engine(b"", graph=spec_of("encoder"), precision="fp32", flavour=ENTERPRISE)
    assert found.plan == b"1"
    assert len(made) == 1
