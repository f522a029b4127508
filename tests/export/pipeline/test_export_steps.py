from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from model_factory import images, random_model, write_checkpoint

import daenr_export
from daenr_common.errors import (
    BundleError,
    CheckpointError,
    DaenrError,
    ExportError,
    MissingExtraError,
    OutputExistsError,
)
from daenr_common.extras import is_installed
from daenr_common.hashing import sha256_of_file
from daenr_common.verdict import Verdict
from daenr_export.bundle import Bundle
from daenr_export.exporting import engines, measure
from daenr_export.exporting.options import Options, parse_batch
from daenr_export.specs import BatchRange
from daenr_export.verification import parity

HAS_RTX = is_installed("tensorrt_rtx")
GRAPHS = {"encoder", "decoder", "readout", "responses", "reconstruction", "joint"}


def contents(bundle: Path) -> dict[str, bytes]:
    return {str(file.relative_to(bundle)): file.read_bytes() for file in bundle.rglob("*") if file.is_file()}


def test_a_bundle_tells_where_it_comes_from(shared_export, shared_checkpoint):
    manifest = Bundle.open(shared_export.bundle).manifest
    assert manifest == shared_export.manifest
    assert manifest.model.name == "cae-fr2"
    assert manifest.checkpoint.file == "cae_fr2.pt"
    assert manifest.checkpoint.sha256 == sha256_of_file(shared_checkpoint)
    assert manifest.checkpoint.metrics == {"response_correlation": 0.41, "undefined": None}
    assert manifest.checkpoint.training == {"epochs": 3}
    assert manifest.checkpoint.recording.region == "region1"
    assert manifest.neuron_ids == tuple(f"n{index}" for index in range(11))
    assert manifest.preprocessing.input_dtype == "float32"
    assert (manifest.preprocessing.scale, manifest.preprocessing.offset) == (1 / 127.5, -1.0)
    assert {"python", "torch", "onnx", "numpy", "daenr"} <= set(manifest.tools)
    assert manifest.golden.images == 5


def test_a_bundle_holds_each_graph_with_its_parity(shared_export):
    manifest = shared_export.manifest
    assert set(manifest.graphs) == GRAPHS
    for name, graph in manifest.graphs.items():
        assert graph.file == f"graphs/{name}.onnx"
        assert graph.batch == BatchRange(1, 1, 64)
        assert graph.opset >= 18
        assert {p.output for p in graph.parity} == {output.name for output in graph.outputs}
        assert all(p.max_error_over_scale <= p.tolerance and p.evaluator.startswith("onnx") for p in graph.parity)
        assert graph.variants == {}


@pytest.mark.skipif(not HAS_RTX, reason="tensorrt-rtx-cu12 is not installed")
def test_a_bundle_holds_an_engine_for_each_graph(shared_export):
    built = shared_export.manifest.engines
    assert {engine.graph for engine in built} == GRAPHS
    for engine in built:
        assert engine.file == f"engines/tensorrt-rtx/{engine.graph}.fp32.engine"
        assert (engine.precision_requested, engine.precision_actual) == ("fp32", "fp32")
        assert engine.batch == BatchRange(1, 1, 64)
        assert engine.build_seconds > 0


def test_the_finished_bundle_was_verified(shared_export):
    verification = shared_export.verification
    assert verification.verdict is Verdict.PASS
    assert {"onnxruntime", "onnx-reference"} <= {run.backend for run in verification.runs}
    assert {run.batch for run in verification.runs if run.backend == "onnxruntime"} == {1, 2, 3, 64}


def test_exporting_again_gives_the_same_graphs_and_golden_file(shared_export, checkpoint):
    again = daenr_export.export(checkpoint)
    assert again.bundle == checkpoint.with_suffix(".daenr")
    first, second = contents(shared_export.bundle), contents(again.bundle)
    same = [file for file in second if not file.startswith("manifest")]
    assert len(same) == 7
    assert [file for file in same if first[file] != second[file]] == []


def test_no_path_of_this_machine_is_in_a_bundle(shared_export):
    folder = str(shared_export.bundle.parent).encode()
    for file, content in contents(shared_export.bundle).items():
        assert folder not in content, file
        assert str(Path.cwd()).encode() not in content, file
        assert b"site-packages" not in content, file


def test_a_bundle_of_pixels_in_half_precision(tmp_path):
    checkpoint = write_checkpoint(tmp_path / "vqvae_fc3.pt", "vqvae-fc3", n_images=6)
    report = daenr_export.export(
        checkpoint, tmp_path / "out", trt=HAS_RTX, precision="fp16", batch=BatchRange(1, 2, 5), input="uint8"
    )
    manifest = report.manifest
    assert report.verification.verdict is Verdict.PASS
    assert manifest.preprocessing.input_dtype == "uint8"
    assert {graph.input.dtype for graph in manifest.graphs.values()} == {"uint8", "float32"}
    assert all(graph.variants == {"fp16": f"graphs/{name}.fp16.onnx"} for name, graph in manifest.graphs.items())
    assert {p.precision for graph in manifest.graphs.values() for p in graph.parity} == {"fp32", "fp16"}
    assert {engine.precision_actual for engine in manifest.engines} == ({"fp16"} if HAS_RTX else set())
    runs = [run for run in report.verification.runs if run.backend == "onnxruntime"]
    assert {(run.precision, run.batch) for run in runs} == {(p, b) for p in ("fp32", "fp16") for b in (1, 2, 3, 5)}
    assert all(run.worst("code_agreement") == 1 for run in runs if run.graph in ("decoder", "joint", "reconstruction"))
    with daenr_export.load(tmp_path / "out", backend="onnxruntime") as model:
        pixels = np.random.default_rng(0).integers(0, 256, (2, 1, 32, 32), dtype=np.uint8)
        assert model.responses(pixels).shape == (2, 11)


@pytest.mark.parametrize(
    ("name", "graphs"),
    [("vae", {"encoder", "decoder", "reconstruction"}), ("cnn-fm3", {"encoder", "readout", "responses"})],
)
def test_a_baseline_has_the_graphs_of_its_parts(tmp_path, name, graphs):
    report = daenr_export.export(write_checkpoint(tmp_path / "model.pt", name))
    assert set(report.manifest.graphs) == graphs
    assert len(report.manifest.neuron_ids) == (0 if name == "vae" else 11)
    assert report.verification.verdict is Verdict.PASS


def test_graphs_that_differ_from_pytorch_are_not_written(checkpoint, monkeypatch):
    strict = replace(parity.TOLERANCES["fp32"], max_error_over_scale=1e-12)
    monkeypatch.setitem(measure.TOLERANCES, "fp32", strict)
    with pytest.raises(
        ExportError, match=r"graph encoder: in fp32 on onnxruntime differs from PyTorch: features: error"
    ):
        daenr_export.export(checkpoint)
    assert [*checkpoint.parent.iterdir()] == [checkpoint]


@pytest.mark.skipif(not HAS_RTX, reason="tensorrt-rtx-cu12 is not installed")
def test_an_engine_of_another_precision_is_not_written(checkpoint, monkeypatch):
    # Without the typed variant TensorRT builds the float32 graph, and says nothing.
    monkeypatch.setattr(engines, "_source", lambda graph, _: graph.onnx)
    with pytest.raises(ExportError, match="engine of the graph encoder: computes in fp32, and fp16 was asked for"):
        daenr_export.export(checkpoint, trt=True, precision="fp16")
    assert [*checkpoint.parent.iterdir()] == [checkpoint]


def test_what_is_there_is_replaced_only_when_forced(shared_export, exported, checkpoint):
    with pytest.raises(OutputExistsError, match="exists already; choose another output or pass --force"):
        daenr_export.export(checkpoint, exported)
    daenr_export.export(checkpoint, exported, force=True, batch=BatchRange(1, 1, 2))
    assert Bundle.open(exported).manifest.graphs["joint"].batch == BatchRange(1, 1, 2)
    with pytest.raises(BundleError, match="exists and is not a bundle"):
        daenr_export.export(checkpoint, checkpoint.parent, force=True)


def test_a_missing_package_is_named_with_its_extra(checkpoint, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    with pytest.raises(MissingExtraError, match=r"torch: is needed for exporting a checkpoint .* 'daenr\[export\]'"):
        daenr_export.export(checkpoint)


def test_a_checkpoint_without_usable_images_is_refused(tmp_path):
    none = write_checkpoint(tmp_path / "none.pt", n_images=5, example_images=images(5)[:0])
    with pytest.raises(CheckpointError, match=r"none.pt: has example_images of float32 \(0, 1, 32, 32\)"):
        daenr_export.export(none)
    unscaled = write_checkpoint(tmp_path / "unscaled.pt", preprocessing={"scale": 1.0})
    with pytest.raises(CheckpointError, match="expected numbers for scale and offset"):
        daenr_export.export(unscaled, input="uint8")
    bright = write_checkpoint(tmp_path / "bright.pt", example_images=images(5) * 3)
    with pytest.raises(CheckpointError, match="has example_images outside of"):
        daenr_export.export(bright)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EIO])
def test_a_disk_that_takes_no_more_leaves_nothing_behind(checkpoint, monkeypatch, number):
    write = Path.write_bytes

    def fail(path, content):
        if path.name == "joint.onnx":
            raise OSError(number, os.strerror(number), str(path))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", fail)
    expected = "the disk is full" if number == errno.ENOSPC else "cannot be written"
    with pytest.raises(DaenrError, match=rf"cae_fr2.daenr: {expected}"):
        daenr_export.export(checkpoint)
    assert [*checkpoint.parent.iterdir()] == [checkpoint]


def test_a_place_that_cannot_be_written_is_refused_at_once(checkpoint):
    output = checkpoint / "inside" / "out.daenr"
    with pytest.raises(DaenrError, match=r"out\.daenr: cannot be written"):
        daenr_export.export(checkpoint, output)


def test_a_kill_leaves_no_bundle(checkpoint):
    script = (
        "import sys, time, daenr_export; from daenr_export.bundle.writer import BundleWriter\n"
        "finish = BundleWriter.finish\n"
        "def wait(*a):\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(600)\n"
        "BundleWriter.finish = wait\n"
        "daenr_export.export(sys.argv[1])\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, checkpoint], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGKILL)
    output = checkpoint.with_suffix(".daenr")
    assert not output.exists()
    assert daenr_export.export(checkpoint).verification.verdict is Verdict.PASS
    assert output.is_dir()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"precision": "fp8"}, "--precision fp8: is not known; choose one of fp32, tf32, fp16"),
        ({"input": "int8"}, "--input int8: is not known"),
        ({"trt": True, "trt_flavour": "lite"}, "--trt-flavour lite: is not known"),
        ({"precision": "tf32"}, "--precision tf32: is a property of engines, and none are built; add --trt"),
        ({"trt_flavour": "rtx"}, "--trt-flavour rtx: is given, but no engines are built; add --trt"),
        ({"batch": BatchRange(0, 1, 2)}, "--batch 0:1:2: is not in order"),
        ({"batch": BatchRange(2, 1, 2)}, "--batch 2:1:2: is not in order"),
        ({"batch": BatchRange(1, 4, 2)}, "--batch 1:4:2: is not in order"),
        ({"batch": BatchRange(1, 1, 5000)}, "--batch 1:1:5000: is not in order, expected .* ≤ 4096"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, problem):
    with pytest.raises(ExportError, match=problem):
        Options(**options)


@pytest.mark.parametrize("text", ["", "1:2", "1:2:3:4", "a:b:c", "1:2:", "1.0:2:3"])
def test_a_batch_range_is_three_whole_numbers(text):
    with pytest.raises(ExportError, match="is not three whole numbers MIN:OPT:MAX"):
        parse_batch(text)
    assert parse_batch("1:2:3") == BatchRange(1, 2, 3)


def test_the_manifest_is_json_that_any_program_reads(shared_export):
    document = json.loads((shared_export.bundle / "manifest.json").read_text())
    assert document["tolerances"]["fp32.max_error_over_scale"] > 0
    assert onnx.load(shared_export.bundle / document["graphs"]["joint"]["file"]).graph.name == "joint"
    assert random_model("cae-fr2").spec.to_json() == document["model"]["spec"]
