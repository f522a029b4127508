from dataclasses import replace

import numpy as np
import pytest
import torch

from daenr_common.errors import CheckpointError
from daenr_train.checkpoint import Checkpoint, Provenance, load_checkpoint, save_checkpoint
from daenr_train.models import make_model
from daenr_train.spec import parse_model_name


@pytest.fixture
def checkpoint():
    spec = parse_model_name("vqvae-fr3", n_neurons=3)
    return Checkpoint(
        spec=spec,
        weights=make_model(spec, 4).state_dict(),
        example_images=np.random.default_rng(0).uniform(-1, 1, (5, 1, 32, 32)).astype(np.float32),
        neuron_ids=("a", "b", "µ"),
        recording=Provenance("2", "tests", "f" * 64, "e" * 64),
        training={"alpha": 1.0},
        metrics={"responses": {"cc_max": {"mean": None}}},
        seed=4,
    )


@pytest.fixture
def written(checkpoint, tmp_path):
    path = tmp_path / "model.pt"
    save_checkpoint(checkpoint, path)
    return path


def rewrite(path, **changes):
    torch.save(torch.load(path, weights_only=True) | changes, path)


def test_what_was_saved_is_loaded(checkpoint, written):
    loaded = load_checkpoint(written)
    assert len(loaded.sha256) == 64
    np.testing.assert_array_equal(loaded.example_images, checkpoint.example_images)
    assert all(torch.equal(loaded.weights[name], checkpoint.weights[name]) for name in checkpoint.weights)
    same = {"weights": {}, "example_images": None, "sha256": ""}
    assert replace(loaded, **same) == replace(checkpoint, **same)
    images = torch.from_numpy(checkpoint.example_images)
    with torch.no_grad():
        torch.testing.assert_close(loaded.model()(images).responses, checkpoint.model()(images).responses)


def test_only_tensors_and_text_are_in_the_file(written):
    content = torch.load(written, weights_only=True)
    assert set(content) == {"format", "version", "header", "weights", "example_images"}
    assert all(isinstance(value, torch.Tensor) for value in content["weights"].values())


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99, -1])
def test_a_truncated_file_is_refused(written, kept):
    content = written.read_bytes()
    written.write_bytes(content[: int(kept * len(content)) if 0 < kept < 1 else kept])
    with pytest.raises(CheckpointError, match=r"model\.pt: is truncated"):
        load_checkpoint(written)


def test_pickled_code_is_not_executed(tmp_path):
    marker, path = tmp_path / "executed", tmp_path / "evil.pt"

    class Evil:
        def __reduce__(self):
            return (marker.write_text, ("ran",))

    torch.save({"format": "daenr-checkpoint", "version": 1, "header": Evil()}, path)
    with pytest.raises(CheckpointError, match=r"evil\.pt: holds pickled Python objects, which were not executed"):
        load_checkpoint(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "has format version 2, this daenr reads 1"),
        ({"format": "other"}, "is not a daenr-checkpoint file"),
        ({"header": "{"}, "does not hold a whole checkpoint"),
        ({"header": "{}"}, "does not hold a whole checkpoint"),
        ({"weights": {}}, "does not hold a whole checkpoint"),
        ({"example_images": "none"}, "does not hold a whole checkpoint"),
    ],
)
def test_a_foreign_file_is_refused_in_one_line(written, changes, message):
    rewrite(written, **changes)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(written)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_finite_are_refused(checkpoint, written):
    weights = {name: tensor.clone() for name, tensor in checkpoint.weights.items()}
    weights["readout.bias"][1] = float("nan")
    rewrite(written, weights=weights)
    with pytest.raises(CheckpointError, match=r"readout\.bias holds NaN or infinity"):
        load_checkpoint(written)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"gone\.pt: does not exist"):
        load_checkpoint(tmp_path / "gone.pt")


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "text.pt").write_text("weights")
    with pytest.raises(CheckpointError, match="is truncated or is not a checkpoint"):
        load_checkpoint(tmp_path / "text.pt")
