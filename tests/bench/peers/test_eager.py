"""PyTorch as a peer, eager and scripted: right on every graph, and only for the bundle's own checkpoint."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("torch")

import torch
from bench_factory import FakeClock
from model_factory import write_checkpoint
from torch_bundle import make_bundle_for_torch

from daenr_bench import Plan, benchmark
from daenr_bench.cli import main
from daenr_bench.peers.registry import make
from daenr_bench.scenarios.burst import Burst
from daenr_common import extras
from daenr_common.errors import BackendUnavailableError, CheckpointError
from daenr_export.bundle import Bundle
from daenr_export.bundle.golden import Golden
from daenr_export.graphs.names import cuts_of
from daenr_train.checkpoint import load_checkpoint

each_way = pytest.mark.parametrize("peer", ["torch", "torchscript"])


@each_way
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
def test_every_graph_is_answered_as_the_reference_does(tmp_path: Path, peer: str, name: str, input_dtype: str) -> None:
    path = write_checkpoint(tmp_path / "model.pt", name)
    bundle = make_bundle_for_torch(tmp_path / "model.daenr", path, input_dtype)
    graphs = list(cuts_of(load_checkpoint(path).spec))
    result = benchmark(bundle, checkpoint=path, backends=[peer], graphs=graphs, plan=Plan(()), clock=FakeClock()).result
    compared = [a for a in result.accuracy if a.backend == peer]
    assert [a.graph for a in compared] == graphs
    assert [a.problems for a in compared] == [()] * len(graphs)


def test_everything_else_is_told_in_multiples_of_it(checkpoint: Path, torch_bundle: Path) -> None:
    """Or is not, where there are too few calls."""
    result = benchmark(
        torch_bundle, checkpoint=checkpoint, backends=["torch"], plan=Plan((Burst(samples=10),)), clock=FakeClock()
    ).result
    assert result.reference_backend == "torch"
    assert all(m.latency is not None and m.times_faster is None for m in result.measurements)
    assert len(result.measurements) == 6


@each_way
def test_outputs_belong_to_the_caller_and_the_input_is_left_alone(
    peer: str, checkpoint: Path, torch_bundle: Path
) -> None:
    bundle = Bundle.open(torch_bundle)
    golden = Golden(bundle.golden())
    for name in bundle.manifest.graphs:
        spec = bundle.graph(name).spec
        batch = golden.inputs(spec)
        before = batch.copy()
        with make(peer, checkpoint).open(bundle.graph(name)) as session:
            assert session.spec == spec
            first = session.run(batch)
            kept = [answer.copy() for answer in first]
            session.run(batch[::-1].copy())
        np.testing.assert_array_equal(batch, before)
        for answer, expected, reference in zip(first, kept, golden.references(spec).values(), strict=True):
            np.testing.assert_array_equal(answer, expected)
            np.testing.assert_allclose(answer, reference, atol=1e-5)  # all of a batch, not only single images
            answer[:] = 0


def test_the_number_of_threads_is_what_it_says_whatever_else_sets_it(checkpoint: Path, torch_bundle: Path) -> None:
    """PyTorch has one setting for the process."""
    bundle, peer = Bundle.open(torch_bundle), make("torch", checkpoint)
    seen: list[int] = []
    before = torch.get_num_threads()
    try:
        with peer.open(bundle.graph("responses")) as session:
            image = Golden(bundle.golden()).inputs(session.spec)[:1]
            for other in (peer.threads + 1, peer.threads + 3):
                torch.set_num_threads(other)
                session.run(image)
                seen.append(torch.get_num_threads())
            thread = threading.Thread(target=lambda: seen.append(session.run(image) and torch.get_num_threads()))
            thread.start()
            thread.join()
    finally:
        torch.set_num_threads(before)
    assert seen == [peer.threads] * 3


def test_a_checkpoint_of_another_bundle_is_refused_in_one_line(tmp_path: Path, torch_bundle: Path) -> None:
    other = write_checkpoint(tmp_path / "other.pt", seed=1)
    result = CliRunner().invoke(main, ["run", str(torch_bundle), "--checkpoint", str(other)])
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"daenr-bench: {other}: is not what the bundle was exported from (sha256 ")
    assert line.endswith("; give that cae_fr2.pt, or export this one")
    with pytest.raises(CheckpointError, match="does not exist or is not a file"):
        benchmark(torch_bundle, checkpoint=tmp_path / "absent.pt")


def test_without_pytorch_it_is_skipped_and_never_silently(
    torch_bundle: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = extras.importlib.util.find_spec
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None if name == "torch" else find_spec(name))
    monkeypatch.setattr("daenr_export.runtime.registry.backends", lambda: ())
    result = benchmark(torch_bundle, checkpoint=checkpoint).result
    (skip,) = result.skipped
    assert skip.backend == "torch"
    assert "is not installed; pip install 'daenr[export]'" in skip.reason
    with pytest.raises(BackendUnavailableError, match="backend torch: cannot run here"):
        benchmark(torch_bundle, checkpoint=checkpoint, backends=["torch"])


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
