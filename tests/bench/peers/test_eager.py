"""PyTorch as a peer: it answers every graph as the reference does, and only for the bundle's own checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import bundle_factory as factory
import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("torch")

from bench_factory import FakeClock
from model_factory import write_checkpoint

from daenr_bench import Plan, benchmark
from daenr_bench.cli import main
from daenr_bench.peers.eager import eager
from daenr_bench.scenarios.burst import Burst
from daenr_common import extras
from daenr_common.errors import BackendUnavailableError, CheckpointError
from daenr_export.bundle import Bundle, GraphEntry, write_bundle
from daenr_export.bundle.golden import Golden
from daenr_export.graphs.names import cuts_of
from daenr_export.graphs.pixels import Pixels
from daenr_export.graphs.reference import make_golden
from daenr_export.specs import BatchRange, GraphSpec, TensorSpec
from daenr_export.verification.parity import to_manifest
from daenr_train.checkpoint import load_checkpoint

PIXELS = Pixels(1 / 127.5, -1.0)


def make_bundle_for_torch(path: Path, checkpoint_path: Path, input_dtype: str = "float32") -> Path:
    """A bundle of a checkpoint in all but its ONNX graphs, which PyTorch does not read."""
    checkpoint = load_checkpoint(checkpoint_path)
    pixels = PIXELS if input_dtype == "uint8" else None
    golden = make_golden(checkpoint.model(), checkpoint.example_images, pixels)
    cuts = cuts_of(checkpoint.spec)
    with write_bundle(path) as writer:
        for name in cuts:
            writer.add(f"graphs/{name}.onnx", b"not read")
        manifest = factory.manifest_of(["encoder"], writer.add_golden(golden, images=len(golden["image"])))

        def tensor(name: str, key: str) -> TensorSpec:
            return TensorSpec(name, str(golden[key].dtype), golden[key].shape[1:])

        graphs = {
            name: GraphEntry(
                file=f"graphs/{name}.onnx",
                input=tensor(cut.input, "image" if cut.input == "image" else "encoder.features"),
                outputs=tuple(tensor(output, f"{name}.{output}") for output in cut.outputs),
                batch=BatchRange(1, 1, 8),
                opset=20,
            )
            for name, cut in cuts.items()
        }
        entry = replace(manifest.checkpoint, file=checkpoint_path.name, sha256=checkpoint.sha256)
        neuron_ids = checkpoint.neuron_ids if checkpoint.spec.readout else ()
        manifest = replace(manifest, neuron_ids=neuron_ids, tolerances=to_manifest(["fp32"]))
        writer.finish(replace(manifest, checkpoint=entry, graphs=graphs))
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoints") / "cae_fr2.pt")


@pytest.mark.parametrize(
    ("name", "input_dtype"),
    [
        ("cae-fr2", "float32"),
        ("vae-fc1", "uint8"),
        ("vqvae-fm3", "float32"),
        ("vqvae", "uint8"),
        ("cnn-fr4", "float32"),
    ],
)
def test_every_graph_is_answered_as_the_reference_does(tmp_path: Path, name: str, input_dtype: str) -> None:
    path = write_checkpoint(tmp_path / "model.pt", name)
    bundle = make_bundle_for_torch(tmp_path / "model.daenr", path, input_dtype)
    result = benchmark(
        bundle, checkpoint=path, backends=["torch"], plan=Plan((Burst(samples=10),)), clock=FakeClock()
    ).result
    assert len(result.measurements) == len(cuts_of(load_checkpoint(path).spec))
    assert [measurement.problems for measurement in result.measurements] == [()] * len(result.measurements)
    assert result.reference_backend == "torch"
    assert all(m.latency is not None and m.times_faster is None for m in result.measurements)  # ten are too few


def test_outputs_belong_to_the_caller_and_the_input_is_left_alone(tmp_path: Path, checkpoint: Path) -> None:
    bundle = Bundle.open(make_bundle_for_torch(tmp_path / "model.daenr", checkpoint))
    for name in bundle.manifest.graphs:
        spec: GraphSpec = bundle.graph(name).spec
        batch = Golden(bundle.golden()).inputs(spec)
        before = batch.copy()
        with eager(checkpoint).open(bundle.graph(name)) as session:
            first = session.run(batch)
            kept = [answer.copy() for answer in first]
            session.run(batch[::-1].copy())
        np.testing.assert_array_equal(batch, before)
        for answer, expected in zip(first, kept, strict=True):
            np.testing.assert_array_equal(answer, expected)
            answer[:] = 0


def test_a_checkpoint_of_another_bundle_is_refused_in_one_line(tmp_path: Path, checkpoint: Path) -> None:
    bundle = make_bundle_for_torch(tmp_path / "model.daenr", checkpoint)
    other = write_checkpoint(tmp_path / "other.pt", seed=1)
    result = CliRunner().invoke(main, ["run", str(bundle), "--checkpoint", str(other)])
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"daenr-bench: {other}: is not what the bundle was exported from (sha256 ")
    assert line.endswith("; give that cae_fr2.pt, or export this one")
    with pytest.raises(CheckpointError, match="does not exist or is not a file"):
        benchmark(bundle, checkpoint=tmp_path / "absent.pt")


def test_without_pytorch_it_is_skipped_and_never_silently(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_bundle_for_torch(tmp_path / "model.daenr", checkpoint)
    find_spec = extras.importlib.util.find_spec
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None if name == "torch" else find_spec(name))
    monkeypatch.setattr("daenr_export.runtime.registry.backends", lambda: ())
    result = benchmark(bundle, checkpoint=checkpoint).result
    (skip,) = result.skipped
    assert skip.backend == "torch"
    assert "is not installed; pip install 'daenr[export]'" in skip.reason
    with pytest.raises(BackendUnavailableError, match="backend torch: cannot run here"):
        benchmark(bundle, checkpoint=checkpoint, backends=["torch"])


def test_pytorch_needs_the_checkpoint(shared_timed_bundle: Path) -> None:
    with pytest.raises(BackendUnavailableError, match="backend torch: runs a checkpoint, and none is given"):
        benchmark(shared_timed_bundle, backends=["torch"])


@pytest.mark.slow
def test_an_exported_bundle_beside_its_checkpoint(tmp_path: Path, checkpoint: Path) -> None:
    pytest.importorskip("onnxruntime")
    from daenr_export import export

    bundle = export(checkpoint, tmp_path / "cae_fr2.daenr").bundle
    arguments = ["run", str(bundle), "--checkpoint", str(checkpoint), "--json", str(tmp_path / "results.json")]
    some = [word for name in ("burst", "paced", "throughput") for word in ("--scenario", name)]
    result = CliRunner().invoke(main, [*arguments, *some, "--samples", "20"])
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "results.json").read_text("utf-8"))
    measured = {(m["graph"], m["backend"]) for m in document["measurements"]}
    assert {
        (name, backend) for name in Bundle.open(bundle).manifest.graphs for backend in ("torch", "onnxruntime")
    } <= (measured)
    assert document["reference_backend"] == "torch"
    assert document["bundle"]["model"] == "cae-fr2"
