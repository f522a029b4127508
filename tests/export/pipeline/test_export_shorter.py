"""bf16 and int8 under contract: what is accepted, what falls back and why, and what a bundle says of it."""

from __future__ import annotations

import re
import time
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from model_factory import images, random_model, write_checkpoint
from native_library import has_tiles

import daenr_export
from daenr_common.errors import BackendUnavailableError, ExportError, RecordingError
from daenr_common.extras import is_installed
from daenr_common.verdict import Verdict
from daenr_export.bundle.golden import Golden
from daenr_export.cli import main
from daenr_export.exporting import contract as contract_module
from daenr_export.exporting import make_bundle, native_layers
from daenr_export.exporting.contract import Contract, Held, fall_back, shortest
from daenr_export.exporting.native_layers import LONGER, shorten
from daenr_export.exporting.options import Options
from daenr_export.graphs.make import make_graphs
from daenr_export.graphs.reference import make_golden
from daenr_export.native.targets import find_target, native_target
from daenr_export.runtime.backends import native, native_library
from daenr_export.specs import BatchRange, GraphSpec
from daenr_export.verification.margins import own_margins
from daenr_export.verification.runs import OnnxGraph
from daenr_export.verification.science import HeldOut
from daenr_export.verification.verify import verify
from daenr_train.data import Recording, write_npz

pytest.importorskip("ziglang")
pytestmark = pytest.mark.slow

needs_tiles = pytest.mark.skipif("not __import__('native_library').has_tiles()", reason="no tiles (Intel AMX) here")
IMAGES = 24


def spec_of(graph):
    return GraphSpec(graph.name, graph.input, graph.outputs, BatchRange(1, 1, 16))


class Case:
    """A graph of a random model, and a contract that tests make stricter."""

    def __init__(self, model: str, graph: str, n_images: int = IMAGES) -> None:
        made = random_model(model)
        graphs = make_graphs(made)
        self.graph, self.spec = graphs[graph], spec_of(graphs[graph])
        self.behind = tuple(
            OnnxGraph(spec_of(other), other.onnx, "fp32")
            for name, other in graphs.items()
            if name in ("readout", "decoder")
        )
        self.golden = Golden(make_golden(made, images(n_images)))
        self.neurons = tuple(f"unit-{index}" for index in range(made.spec.n_neurons))

    def shorten(self, precision, folder, **margins):
        held_out = HeldOut(self.golden.images, self.neurons)
        contract = Contract(self.golden, held_out, replace(own_margins(), **margins), self.behind)
        return shorten(self.graph, self.spec, precision, contract, folder)


@pytest.fixture(scope="module")
def responses():
    return Case("cnn-fr2", "responses")


def worst_correlation(shortened) -> float:
    return float(
        re.search(r"correlation with the reference of neuron unit-\d+ is ([\d.]+),", *shortened.held.kept[:1])[1]
    )


@needs_tiles
def test_a_layer_falls_back_as_far_as_the_contract_wants(responses, tmp_path):
    int8 = responses.shorten("int8", tmp_path, correlation_with_reference=0.5)
    bf16 = responses.shorten("bf16", tmp_path, correlation_with_reference=0.5)
    assert (int8.precision, bf16.precision) == ("int8", "bf16")
    assert not int8.fallbacks
    assert 0.5 < worst_correlation(int8) < worst_correlation(bf16)
    between = (worst_correlation(int8) + worst_correlation(bf16)) / 2
    fallen = responses.shorten("int8", tmp_path, correlation_with_reference=between)
    assert fallen.layers == bf16.layers
    assert fallen.held.kept[0].startswith("responses: correlation with the reference of neuron unit-")
    (sentence,) = fallen.fallbacks
    assert re.match(
        r"features from int8 to bf16: responses: correlation with the reference of neuron unit-\d+ is 0", sentence
    )
    none_left = responses.shorten("int8", tmp_path, correlation_with_reference=1.0)
    assert none_left.precision == "fp32"
    assert set(none_left.layers.values()) == {"fp32"}
    assert len(none_left.fallbacks) == 3  # a readout has no int8 to begin with


@needs_tiles
def test_what_could_not_be_measured_is_not_said_to_be_kept(responses, tmp_path):
    shortened = responses.shorten("bf16", tmp_path, correlation_with_reference=0.5)
    assert [sentence.split(" is ")[0].split(" of neuron")[0] for sentence in shortened.held.kept] == [
        "responses: correlation with the reference"
    ]
    assert shortened.held.not_measured == ("responses: not measured: no recorded responses were given",)


@needs_tiles
def test_where_nothing_can_be_measured_nothing_is_accepted(tmp_path):
    case = Case("cnn-fr2", "responses", n_images=2)
    shortened = case.shorten("int8", tmp_path)
    assert shortened.precision == "fp32"
    assert all("responses: no margin could be measured" in sentence for sentence in shortened.fallbacks)


@needs_tiles
def test_features_are_held_to_what_the_rest_of_the_model_makes_of_them(tmp_path):
    case = Case("cae-fr2", "encoder")
    shortened = case.shorten("int8", tmp_path, correlation_with_reference=0.5)
    found = [sentence.split(":")[0] for sentence in shortened.held.kept]
    assert found == ["responses", "reconstruction", "reconstruction"]
    broken = case.shorten("int8", tmp_path, correlation_with_reference=1.0)
    assert broken.precision == "fp32"
    assert "responses: correlation with the reference of neuron" in broken.fallbacks[0]


def test_of_the_shortest_layers_that_with_the_fewest_weights_is_given_up_first(responses, monkeypatch):
    weights = {"large": 300, "small": 10, "middle": 50}
    tried = []
    monkeypatch.setattr(
        contract_module, "hold", lambda *_: Held(("kept",), broken=("broken",) if len(tried) < 5 else ())
    )

    def open_(layers):
        tried.append(dict(layers))
        return nullcontext()

    found = fall_back(responses.spec, weights, dict.fromkeys(weights, "int8"), LONGER, None, open_)
    assert found.layers == {"large": "bf16", "small": "fp32", "middle": "bf16"}
    assert found.precision == "bf16"
    assert found.held.kept == ("kept",)
    assert [sentence.split(":")[0] for sentence in found.fallbacks] == [
        "small from int8 to bf16",
        "middle from int8 to bf16",
        "large from int8 to bf16",
        "small from bf16 to fp32",
    ]
    assert tried[0] == dict.fromkeys(weights, "int8")


@needs_tiles
def test_a_processor_that_multiplies_int8_alone_accepts_only_what_it_tried(responses, tmp_path, monkeypatch):
    monkeypatch.setattr(native_layers, "_BF16_HERE", [False])
    shortened = responses.shorten("int8", tmp_path, correlation_with_reference=0.5)
    assert shortened.layers == {"features": "int8", "responses": "fp32"}
    fallen = responses.shorten("int8", tmp_path, correlation_with_reference=1.0)
    assert [sentence.split(":")[0] for sentence in fallen.fallbacks] == ["features from int8 to fp32"]


@needs_tiles
def test_auto_takes_what_answers_fastest(responses, tmp_path, monkeypatch):
    times = {"int8": 3.0, "bf16": 2.0, "fp32": 4.0}
    opened = []
    original = native_layers._open

    def noting(graph, spec, layers, contract, folder):
        opened.append(shortest(layers))
        return original(graph, spec, layers, contract, folder)

    monkeypatch.setattr(native_layers, "_open", noting)
    monkeypatch.setattr(native_layers, "_times", lambda sessions, _: [times[name] for name in opened[-len(sessions) :]])
    assert responses.shorten("auto", tmp_path, correlation_with_reference=0.5).precision == "bf16"
    times["fp32"] = 1.0
    assert responses.shorten("auto", tmp_path, correlation_with_reference=0.5).precision == "fp32"


def test_times_are_those_of_the_sessions():
    class Slow:
        def __init__(self, seconds):
            self.seconds = seconds

        def run(self, image):
            time.sleep(self.seconds)

    slow, fast = native_layers._times([Slow(2e-3), Slow(1e-4)], np.zeros(1))
    assert slow > 2e-3 > fast > 1e-4


def recording_of(model_path, path, **changes):
    """A recording in which a checkpoint's images were shown to its neurons."""
    from daenr_train.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(model_path)
    rng, shown = np.random.default_rng(0), checkpoint.example_images
    count = len(checkpoint.neuron_ids)
    fields = {
        "images": images(6, seed=9),
        "responses": rng.gamma(1, 1, (6, count)).astype(np.float32),
        "test_images": shown,
        "test_responses": rng.gamma(1, 1, (4, len(shown), count)).astype(np.float32),
        "neuron_ids": checkpoint.neuron_ids,
        "region": "region1",
    }
    return write_npz(Recording(**(fields | changes)), path)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    if not has_tiles():
        pytest.skip("no tiles (Intel AMX) here")
    folder = tmp_path_factory.mktemp("shorter")
    checkpoint = write_checkpoint(folder / "cnn_fr2.pt", "cnn-fr2", n_images=IMAGES)
    data = recording_of(checkpoint, folder / "recording.npz")
    targets = (native_target(), "x86_64-windows")
    return daenr_export.export(checkpoint, native=True, precision="int8", data=data, targets=targets)


def test_a_bundle_says_what_each_layer_multiplies_and_what_that_cost(made):
    assert made.verification.verdict is Verdict.PASS
    entries = {entry.graph: entry for entry in made.manifest.natives if entry.target == native_target()}
    assert {entry.precision_requested for entry in entries.values()} == {"int8"}
    found = entries["responses"]
    assert found.precision_actual in ("int8", "bf16")
    assert set(found.contract.layers) == {"features", "responses"}
    assert found.instruction_sets[0] == "amx"
    assert found.file == f"native/{native_target()}/responses.{found.precision_actual}.so"
    assert [sentence.split(" of neuron")[0] for sentence in found.contract.kept] == [
        "responses: correlation with the reference",
        "responses: loss of correlation with the recorded responses",
    ]
    assert set(entries["readout"].contract.layers) == {"responses"}
    assert entries["readout"].precision_actual in ("bf16", "fp32")


def test_a_target_gets_float32_where_it_does_not_multiply_what_was_accepted(made):
    """Under Windows there are no tiles to use, and dot products are of int8 alone."""
    windows = {entry.graph: entry for entry in made.manifest.natives if entry.target == "x86_64-windows"}
    here = {entry.graph: entry for entry in made.manifest.natives if entry.target == native_target()}
    for graph, entry in windows.items():
        is_int8 = here[graph].precision_actual == "int8"
        assert entry.precision_actual == ("int8" if is_int8 else "fp32")
        assert (entry.contract is None) == (not is_int8)
        assert entry.instruction_sets[0] == ("avx512_vnni" if is_int8 else "avx512")


def test_on_a_processor_without_tiles_it_is_judged_as_the_float32_that_it_computes(made, monkeypatch):
    """The library is the same; it chose other code when it was loaded, as this session is told it did."""
    monkeypatch.setattr(native_library.NativeLibrary, "instruction_set", "avx512", raising=False)
    monkeypatch.setattr(native_library.NativeLibrary, "__setattr__", _keep_instruction_set)
    monkeypatch.setattr(native_library, "_LOADED", {})
    report = verify(made.bundle, ["native"])
    assert {run.precision for run in report.runs} == {"fp32"}
    assert report.verdict is Verdict.FAIL  # what runs here really is int8


def _keep_instruction_set(self, name, value):
    if name != "instruction_set":
        object.__setattr__(self, name, value)


def test_a_library_that_answers_wrongly_is_a_failure_and_not_only_unavailable(made, monkeypatch):
    monkeypatch.setattr(native, "_self_test", _wrong)
    report = verify(made.bundle)
    wrong = [check for check in report.checks if "answers its built-in images wrongly" in check.reason]
    assert {check.verdict for check in wrong} == {Verdict.FAIL}
    assert report.verdict is Verdict.FAIL


def _wrong(library, spec):
    raise native.WrongAnswersError(f"graph {spec.name}", "answers its built-in images wrongly here", "choose another")


def test_it_answers_in_what_it_says(made):
    with daenr_export.load(made.bundle) as model, daenr_export.load(made.bundle, backend="onnxruntime") as exact:
        image = model.golden["image"]
        assert model.backend == "native"
        difference = (
            np.abs(model.responses(image) - exact.responses(image)).max() / np.abs(exact.responses(image)).max()
        )
        assert 1e-5 < difference < 0.1
        runs = {(run.graph, run.precision) for run in made.verification.runs if run.backend == "native"}
        mine = [entry for entry in made.manifest.natives if entry.target == native_target()]
        assert runs == {(entry.graph, entry.precision_actual) for entry in mine}


@pytest.mark.skipif(not is_installed("tensorrt_rtx"), reason="tensorrt-rtx-cu12 is not installed")
def test_engines_are_built_of_the_layers_that_bear_int8(tmp_path, monkeypatch):
    lenient = replace(own_margins(), correlation_with_reference=0.5, recorded_correlation_drop=1.0)
    monkeypatch.setattr(make_bundle, "own_margins", lambda: lenient)
    checkpoint = write_checkpoint(tmp_path / "cnn_fr2.pt", "cnn-fr2", n_images=IMAGES)
    data = recording_of(checkpoint, tmp_path / "recording.npz")
    made = daenr_export.export(checkpoint, trt=True, precision="int8", data=data)
    wrong = [check for check in made.verification.checks if check.verdict is Verdict.FAIL]
    wrong += [run.check for run in made.verification.runs if run.verdict is Verdict.FAIL]
    assert not wrong
    for engine in made.manifest.engines:
        graph = made.manifest.graphs[engine.graph]
        precisions = set(graph.contracts["int8"].layers.values())
        expected = "int8" if "int8" in precisions else "fp32"
        assert (engine.precision_requested, engine.precision_actual) == (expected, expected)
        assert ("int8" in graph.variants) == (expected == "int8")
        assert engine.file == f"engines/tensorrt-rtx/{engine.graph}.{expected}.engine"
        with pytest.raises(BackendUnavailableError, match="holds no int8 engine of tensorrt for"):
            daenr_export.Bundle.open(made.bundle).graph(engine.graph).engine("tensorrt")
        assert daenr_export.Bundle.open(made.bundle).graph(engine.graph).engine("tensorrt-rtx")
    assert {graph for graph in made.manifest.graphs if "int8" in made.manifest.graphs[graph].variants} >= {"encoder"}
    shown = CliRunner().invoke(main, ["inspect", str(made.bundle)]).stdout
    assert "graphs/encoder.int8.onnx: 2 of 2 layers int8" in shown
    assert "kept: responses: correlation with the reference of neuron" in shown


@needs_tiles
def test_a_recording_of_other_neurons_is_refused_and_nothing_is_written(tmp_path):
    checkpoint = write_checkpoint(tmp_path / "cnn_fr2.pt", "cnn-fr2")
    data = recording_of(checkpoint, tmp_path / "other.npz", neuron_ids=tuple(f"other-{i}" for i in range(11)))
    with pytest.raises(RecordingError, match=r"other\.npz: has 11 neurons in region1 that are not the bundle's 11"):
        daenr_export.export(checkpoint, native=True, precision="bf16", data=data)
    assert not (tmp_path / "cnn_fr2.daenr").exists()


def test_a_processor_without_tiles_is_told_so(responses, tmp_path, monkeypatch):
    """As if AMX were not there: what is compiled for it alone then has no instruction set."""
    if not find_target(native_target()).shorter:
        pytest.skip("this kind of machine has no tiles")
    monkeypatch.setattr(native_layers, "open_graph", _refuse)
    monkeypatch.setattr(native_layers, "_BF16_HERE", [])
    with pytest.raises(
        ExportError, match=r"is accepted only after it was tried, .*; export on a processor with Intel AMX"
    ):
        responses.shorten("int8", tmp_path)


def _refuse(graph, *, tests):
    raise BackendUnavailableError("native library", "has code for none of this processor's", "choose another backend")


@pytest.mark.parametrize("precision", ["bf16", "auto"])
def test_options_that_make_no_sense_are_refused(precision):
    with pytest.raises(ExportError, match=f"--precision {precision}: is what compiled C computes in, .*; add --native"):
        Options(precision=precision)
    with pytest.raises(ExportError, match=f"--precision {precision}: .* engines do not; leave out --trt"):
        Options(precision=precision, trt=True, targets=("x86_64-linux",))
    with pytest.raises(
        ExportError, match=f"--precision {precision}: is not computed in by compiled C for aarch64-linux"
    ):
        Options(precision=precision, targets=("aarch64-linux",))


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (
            ["--precision", "int8"],
            "--precision int8: scales activations by what they are on images that the model was fitted to, and none "
            "were given; add --data",
        ),
        (
            ["--data", "x.npz"],
            "--data: is what shorter numbers than float32 are held against, and there are none; "
            "add --precision with one of fp16, bf16, int8, auto",
        ),
        (
            ["--native", "--precision", "int8", "--target", "x86_64-linux", "--region", "1"],
            "--region 1: is given without a recording; add --data",
        ),
    ],
)
def test_the_command_says_it_in_a_line(shared_checkpoint, tmp_path, more, problem):
    result = CliRunner().invoke(main, ["--checkpoint", str(shared_checkpoint), "--output", str(tmp_path / "b"), *more])
    assert (result.exit_code, result.stderr) == (2, f"daenr-export: {problem}\n")
