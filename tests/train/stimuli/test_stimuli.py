"""Most exciting images of checkpoints, and the folder that they are written to."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from daenr_train.checkpoint import Checkpoint, Provenance, load_checkpoint, save_checkpoint
from daenr_train.cli import main
from daenr_train.models import make_model
from daenr_train.spec import parse_model_name
from daenr_train.stimuli import command
from daenr_train.stimuli.ascent import Climb
from daenr_train.stimuli.budget import Budget
from daenr_train.stimuli.finding import find_stimuli
from daenr_train.stimuli.latents import responses_of

BUDGET = Budget(0.0, 0.1)
M = 6


@torch.no_grad()
def lively(name, seed=2):
    """A checkpoint whose batch norms have seen images and whose neurons differ."""
    spec = parse_model_name(name, n_neurons=M)
    model = make_model(spec, seed)
    images = np.random.default_rng(seed).uniform(-1, 1, (40, 1, 32, 32)).astype(np.float32)
    model.train()(torch.from_numpy(images))
    if spec.readout:
        for parameter in model.readout.parameters():
            parameter.normal_(0, 0.05, generator=torch.Generator().manual_seed(seed))
    ids = tuple(f"µ{i}" for i in range(M)) if spec.readout else ()
    where = Provenance("region1", "tests", "f" * 64, "e" * 64)
    return Checkpoint(spec, model.state_dict(), images[:12], ids, where, {}, {}, seed)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("cae-fr2", "lnp", "vae"):
        save_checkpoint(lively(name), tmp_path / f"{name}.pt")

    def invoke(*arguments):
        given = ["--checkpoint", "cae-fr2.pt", "--neuron", "1", "--output", "out", "--steps", "5", "--starts", "2"]
        return CliRunner().invoke(main, ["stimuli", *given, *arguments])

    return invoke


def arrays_of(folder):
    with np.load(folder / "stimuli.npz", allow_pickle=False) as content:
        return dict(content)


def test_the_best_image_of_a_linear_filter_is_the_filter():
    checkpoint = lively("lnp")
    found = find_stimuli(checkpoint, [0, 4], (), BUDGET, Climb(smoothing=0))
    assert list(found.images) == ["pixel", "natural"]
    weights = checkpoint.weights
    for row, neuron in enumerate(found.neurons):
        field = (weights["readout.dense.weight"][neuron].view(32, 32) * weights["encoder.0.scale"][0]).numpy()
        expected = 0.1 * (field - field.mean()) / field.std()
        np.testing.assert_allclose(found.images["pixel"][row, 0], expected, atol=3e-3)
        assert found.own("pixel")[row] > found.own("natural")[row]


@pytest.mark.parametrize("name", ["cae-fr2", "vae-fc3", "vqvae-fm1", "klindt"])
def test_the_images_excite_more_than_natural_ones(name):
    checkpoint = lively(name)
    found = find_stimuli(checkpoint, [2, 5], (), BUDGET, Climb(steps=25, starts=2))
    assert (found.own("pixel") > found.own("natural")).all()
    model = checkpoint.model()
    with torch.no_grad():
        for kind, images in found.images.items():
            answers = model(torch.from_numpy(images)).responses.numpy()
            np.testing.assert_allclose(found.responses[kind], answers, rtol=1e-4)
            np.testing.assert_allclose(images.std((1, 2, 3)), 0.1, rtol=1e-3)


@pytest.mark.parametrize("name", ["cae-fr2", "vae-fc3", "vqvae-fm1"])
def test_a_search_among_drawn_images_improves_on_its_start_and_can_be_drawn(name):
    checkpoint = lively(name)
    model = checkpoint.model()
    found = find_stimuli(checkpoint, [0, 3], ("latent",), BUDGET, Climb(steps=25, starts=3))
    with torch.no_grad():
        drawn = BUDGET.apply(model(torch.from_numpy(checkpoint.example_images)).reconstruction)
        before = responses_of(model, drawn)[:, [0, 3]].max(0).values.numpy()
    assert (found.own("latent") >= before - 1e-6).all()
    assert (found.own("latent") > before).any()


def test_no_single_other_code_would_excite_more():
    checkpoint = lively("vqvae-fr2")
    model = checkpoint.model()
    found = find_stimuli(checkpoint, [1], ("latent",), BUDGET, Climb(starts=2))
    with torch.no_grad():
        # the codes that were found are those whose drawing is the image
        latent, stages = model.decoder.latent, model.decoder.stages
        every = torch.cartesian_prod(*[torch.arange(32)] * 2)
        reached, image = float(found.own("latent")[0]), torch.from_numpy(found.images["latent"])
        codes = torch.zeros(1, 2, 2, dtype=torch.long)
        for _ in range(2):  # match two positions at a time, twice: a decoder's patches overlap
            for half in (0, 1):
                tried = codes.repeat(len(every), 1, 1)
                tried[:, half] = every
                error = (BUDGET.apply(stages(latent.decode(tried))) - image).square().sum((1, 2, 3))
                codes = tried[error.argmin()][None]
        assert torch.allclose(BUDGET.apply(stages(latent.decode(codes))), image, atol=1e-4)
        for position in range(4):
            tried = codes.repeat(32, 1, 1)
            tried.view(32, 4)[:, position] = torch.arange(32)
            others = responses_of(model, BUDGET.apply(stages(latent.decode(tried))))[:, 1]
            assert float(others.max()) <= reached + 1e-5


def test_a_folder_is_written(run, tmp_path):
    result = run("--neuron", "4")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "contact_sheet.png",
        "stimuli.json",
        "stimuli.npz",
    ]
    told = json.loads((tmp_path / "out" / "stimuli.json").read_text())
    arrays = arrays_of(tmp_path / "out")
    assert arrays["neurons"].tolist() == [1, 4]
    assert arrays["neuron_ids"].tolist() == [f"µ{i}" for i in range(M)]
    for row, entry in enumerate(told["stimuli"]):
        assert entry["neuron_id"] == f"µ{entry['neuron']}"
        assert entry["response_to_grey"] == pytest.approx(arrays["responses_grey"][entry["neuron"]])
        assert list(entry["images"]) == ["pixel", "latent", "natural"]
        for kind, facts in entry["images"].items():
            assert arrays[f"images_{kind}"].shape == (2, 1, 32, 32)
            assert facts["response"] == pytest.approx(arrays[f"responses_{kind}"][row, entry["neuron"]])
            assert facts["contrast"] == pytest.approx(arrays[f"images_{kind}"][row].std(), rel=1e-4)
            assert -1 <= facts["lowest"] < facts["highest"] <= 1
    assert told["checkpoint_sha256"] == load_checkpoint(tmp_path / "cae-fr2.pt").sha256
    assert result.stdout.splitlines()[0].split() == ["neuron", "response", "to", "grey", "pixel", "latent", "natural"]
    with Image.open(tmp_path / "out" / "contact_sheet.png") as sheet:
        grey = np.asarray(sheet)
    assert grey.shape[1] > 3 * 128
    assert grey.shape[0] > 2 * 128
    shown = arrays["images_pixel"][0, 0]
    patch = grey[8 + 14 + 14 :, 8:][: 4 * 32 : 4, : 4 * 32 : 4]
    np.testing.assert_allclose(patch, (shown + 1) * 127.5, atol=0.51)


def test_the_same_seed_gives_the_same_images(run, tmp_path):
    for folder in ("one", "two"):
        assert run("--output", folder).exit_code == 0
    assert run("--output", "other", "--seed", "1", "--steps", "1").exit_code == 0
    one, two, other = (arrays_of(tmp_path / folder) for folder in ("one", "two", "other"))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["images_pixel"], other["images_pixel"])
    assert (tmp_path / "one" / "contact_sheet.png").read_bytes() == (
        tmp_path / "two" / "contact_sheet.png"
    ).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--neuron", "6"], "neuron 6: does not exist: the checkpoint has 6 neurons; use a position from 0 to 5"),
        (["--neuron", "-1"], "neuron -1: does not exist"),
        (["--neuron", "1"], "neurons: name one twice"),
        (["--neuron", "first"], "--neuron"),
        (["--checkpoint", "vae.pt"], "model vae: predicts no responses; use a checkpoint of a model with a readout"),
        (["--checkpoint", "lnp.pt", "--space", "latent"], "model lnp: has no decoder, and so no latent space"),
        (["--checkpoint", "gone.pt"], "gone.pt: does not exist"),
        (["--contrast", "0"], "contrast: is 0.0, expected a number > 0"),
        (["--mean", "2"], "mean grey: is 2.0"),
        (["--smoothing", "-1"], "smoothing: is -1.0"),
        (["--steps", "0"], "--steps"),
        (["--output", "lnp.pt"], "lnp.pt: exists already; choose another output or pass --force"),
        (["--output", "lnp.pt/deeper"], "lnp.pt/deeper: cannot be written"),
    ],
)
def test_wrong_arguments(run, tmp_path, arguments, message):
    before = sorted(tmp_path.iterdir())
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1, result.stderr
    assert message in result.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_what_is_interrupted_leaves_nothing(run, tmp_path, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "find_stimuli", interrupted)
    result = run()
    assert (result.exit_code, result.stderr.strip()) == (130, "daenr-train: interrupted")
    assert not (tmp_path / "out").exists()


def test_the_mean_grey_is_that_of_the_held_out_images(run, tmp_path):
    checkpoint = replace(lively("lnp"), example_images=np.full((3, 1, 32, 32), 0.25, np.float32))
    save_checkpoint(checkpoint, tmp_path / "grey.pt")
    assert run("--checkpoint", "grey.pt").exit_code == 0
    assert json.loads((tmp_path / "out" / "stimuli.json").read_text())["budget"] == {"mean": 0.25, "contrast": 0.1}
