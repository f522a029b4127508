"""The models that the field measures itself against, next to formulas and code that we did not write."""

from __future__ import annotations

import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate
from scipy.signal import correlate2d
from sklearn.linear_model import PoissonRegressor

from daenr_common.errors import Interrupted, SpecError
from daenr_common.extras import is_installed
from daenr_train.data import split
from daenr_train.evaluate import evaluate, predict
from daenr_train.fit import TrainingConfig, fit
from daenr_train.fit.losses import regularisation_terms, total
from daenr_train.fit.recipes import RECIPES, recipe_of
from daenr_train.metrics import poisson_loss
from daenr_train.models import make_model
from daenr_train.models.readout import FactorizedReadout
from daenr_train.spec import BASELINES, ModelSpec, baseline_spec, model_names, parse_model_name

SHORT = {"max_steps": 6, "validate_every": 3, "batch_size": 16, "threads": 1}


def fitted(recording, name, **options):
    arguments = {key: options.pop(key) for key in ("state_path", "resume", "on_step") if key in options}
    config = TrainingConfig(**({"threads": 1} | recipe_of(name) | options))
    return fit(recording, parse_model_name(name, n_neurons=recording.n_neurons), config, **arguments)


@pytest.mark.parametrize("name", BASELINES)
def test_a_name_and_its_spec_say_the_same(name):
    spec = parse_model_name(name, n_neurons=7)
    assert spec.name == name
    assert name not in model_names()
    assert ModelSpec.from_json(spec.to_json()) == spec == baseline_spec(name, 7)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: baseline_spec("hsm", 3), "baseline 'hsm': does not exist; use klindt, lnp, mean"),
        (lambda: baseline_spec("lnp", 0), "n_neurons: is 0"),
        (lambda: parse_model_name("klint", n_neurons=3), "did you mean klindt"),
        (lambda: ModelSpec.from_json({"baseline": "lnp"}), "expected fields"),
        (lambda: replace(baseline_spec("lnp", 3), layer=3), "baseline 'lnp': is not one of these models"),
        (lambda: replace(parse_model_name("cnn-fr2", n_neurons=3), baseline="mine"), "baseline 'mine': is not one"),
    ],
)
def test_what_is_no_baseline_is_refused(make, message):
    with pytest.raises(SpecError, match=message):
        make()


def test_the_recipe_is_the_published_one():
    """As David Klindt's v1data/standalone.py and data.py have it."""
    settings = TrainingConfig(**recipe_of("klindt"))
    assert (settings.learning_rate, settings.batch_size, settings.validate_every) == (1e-3, 256, 50)
    assert settings.patience_steps == 10 * settings.validate_every
    assert (settings.rounds, settings.rate_factor, settings.validation_fraction) == (3, pytest.approx(1 / 3), 0.2)
    assert set(RECIPES) < set(BASELINES)
    assert recipe_of("cae-fr2") == recipe_of("mean") == {}


def published_penalty(model):
    """0.03 · smoothness of the first filters + 0.05 · group sparsity of the others + 0.02 · product of L1 norms."""
    first, *others = (filters.detach().numpy() for filters in model.filters)
    laplacian = np.array([[0.25, 0.5, 0.25], [0.5, -3.0, 0.5], [0.25, 0.5, 0.25]])
    smooth = sum((correlate(w, laplacian, mode="constant") ** 2).sum() / (w**2).sum() for w in first[:, 0])
    sparse = sum(np.sqrt((filters**2).sum((2, 3))).sum() for filters in others)
    mask, weights = (tensor.detach().numpy() for tensor in (model.readout.mask, model.readout.weights))
    return 0.03 * smooth + 0.05 * sparse + 0.02 * (np.abs(mask).sum(1) * np.abs(weights).sum(1)).sum()


def test_the_penalty_is_the_published_one():
    model = make_model(baseline_spec("klindt", 5), 0)
    config = TrainingConfig(**recipe_of("klindt"))
    features = torch.zeros(1, *model.spec.features_shape())
    found = total(regularisation_terms(model, features, config), config)
    assert found.item() == pytest.approx(published_penalty(model), rel=1e-4)


def test_weights_start_as_published():
    model = make_model(baseline_spec("klindt", 40), 0)
    assert [tuple(filters.shape) for filters in model.filters] == [(48, 1, 13, 13), (48, 48, 3, 3), (48, 48, 3, 3)]
    for weights in (*model.filters, *(module.original for module in model.readout.parametrizations.values())):
        assert weights.abs().max() <= 0.02
        assert weights.std().item() == pytest.approx(0.88e-2, rel=0.05)  # a normal of SD 0.01, cut off at two of them
    scales = [module.weight for module in model.encoder if isinstance(module, torch.nn.BatchNorm2d)]
    assert not any(scale.requires_grad for scale in scales)


def test_the_factorized_cnn_is_the_published_one(small_recording):
    """Standardised pixels, convolution, batch norm, log(1 + exp), and no nonlinearity after the third; SciPy agrees."""
    checkpoint = fitted(small_recording, "klindt", **SHORT)
    model = checkpoint.model()
    images = small_recording.test_images[:2]
    training = small_recording.images[split(small_recording, 0.2, 0).train_indices]
    maps = ((images - training.mean(0)) / training.std(0)).astype(np.float64)
    norms = [module for module in model.encoder if isinstance(module, torch.nn.BatchNorm2d)]
    for number, (filters, norm) in enumerate(zip(model.filters, norms, strict=True)):
        mode = "same" if number else "valid"
        kernels = filters.detach().double().numpy()
        sums = [[sum(map(correlate2d, image, kernel, [mode] * len(image))) for kernel in kernels] for image in maps]
        mean, variance, shift = (
            tensor.detach().double().numpy()[:, None, None]
            for tensor in (norm.running_mean, norm.running_var, norm.bias)
        )
        maps = (np.array(sums) - mean) / np.sqrt(variance + 1e-3) + shift
        maps = np.log1p(np.exp(maps)) if number < 2 else maps
    with torch.no_grad():
        np.testing.assert_allclose(model.encoder(torch.from_numpy(images)).numpy(), maps, rtol=2e-4, atol=2e-4)
    assert maps.shape == (2, 48, 20, 20)


@pytest.mark.skipif(
    not is_installed("neuralpredictors"), reason="neuralpredictors is not installed (see constraints.txt)"
)
@pytest.mark.parametrize("name", ["cae-fr1", "cae-fr3", "cnn-fr2", "klindt"])
def test_our_factorized_readout_is_that_of_neuralpredictors(name):
    """Without its `l1()`, which multiplies each neuron's mask with the weights of all neurons."""
    from neuralpredictors.layers.readouts import FullFactorized2d

    spec = parse_model_name(name, n_neurons=6)
    ours = make_model(spec, 3).readout
    assert isinstance(ours, FactorizedReadout)
    theirs = FullFactorized2d(spec.features_shape(), 6, bias=True, normalize=False, mean_activity=torch.ones(6))
    with torch.no_grad():
        ours.bias.uniform_(-1, 1)
        theirs.spatial.copy_(ours.mask.view(theirs.spatial.shape))
        theirs._features.copy_(ours.weights)
        theirs.bias.copy_(ours.bias)
        features = torch.randn(4, *spec.features_shape(), generator=torch.Generator().manual_seed(0))
        expected = torch.nn.functional.softplus(theirs(features))
        torch.testing.assert_close(ours(features), expected, rtol=1e-5, atol=1e-6)


def test_the_linear_nonlinear_model_is_an_exponential_of_a_filter(small_recording):
    checkpoint = fitted(small_recording, "lnp", **SHORT)
    weights = {name: tensor.numpy().astype(np.float64) for name, tensor in checkpoint.weights.items()}
    pixels = (small_recording.test_images - weights["encoder.0.mean"]) * weights["encoder.0.scale"]
    drive = pixels.reshape(20, -1) @ weights["readout.dense.weight"].T + weights["readout.dense.bias"]
    responses, reconstruction = predict(checkpoint, small_recording.test_images)
    np.testing.assert_allclose(responses, np.exp(drive), rtol=1e-4)
    assert reconstruction is None


def test_the_linear_nonlinear_model_is_as_good_as_a_generalised_linear_model(small_recording):
    """Beside scikit-learn's Poisson regression, with the ridge that does best on the test images themselves."""
    scores = evaluate(fitted(small_recording, "lnp"), small_recording)
    parts = split(small_recording, 0.2, 0)
    pixels = small_recording.images.reshape(240, -1)
    mean, scale = pixels[parts.train_indices].mean(0), pixels[parts.train_indices].std(0)
    averages = small_recording.test_responses.mean(0)
    losses = []
    for ridge in (1.0, 3.0):
        predicted = np.empty_like(averages)
        for neuron in range(small_recording.n_neurons):
            regression = PoissonRegressor(alpha=ridge, max_iter=300)
            regression.fit(
                (pixels - mean)[parts.train_indices] / scale, small_recording.responses[parts.train_indices, neuron]
            )
            predicted[:, neuron] = regression.predict((small_recording.test_images.reshape(20, -1) - mean) / scale)
        losses.append(poisson_loss(predicted, averages) / small_recording.n_neurons)
    ours = scores.responses["poisson_loss"].mean
    nothing = evaluate(fitted(small_recording, "mean"), small_recording).responses["poisson_loss"].mean
    assert ours < nothing
    assert nothing - ours > 0.9 * (nothing - min(losses))


def test_the_mean_response_is_the_mean_response(small_recording):
    checkpoint = fitted(small_recording, "mean")
    assert checkpoint.metrics["steps"] == 0
    responses, _ = predict(checkpoint, small_recording.test_images)
    expected = small_recording.responses[split(small_recording, 0.2, 0).train_indices].mean(0)
    np.testing.assert_allclose(responses, np.tile(expected, (20, 1)), rtol=1e-5)
    scores = evaluate(checkpoint, small_recording).responses
    assert scores["correlation_to_average"].n_constant == 12  # no correlation, which is not a correlation of 0
    assert scores["poisson_loss"].n_scored == 12


@pytest.mark.parametrize("name", RECIPES)
def test_an_interrupted_fit_resumes_to_the_same_weights_bit_for_bit(small_recording, tmp_path, name):
    state = tmp_path / "fit.state"
    with pytest.raises(Interrupted):
        fitted(
            small_recording,
            name,
            **SHORT,
            state_path=state,
            on_step=lambda step, _: step == 4 and signal.raise_signal(2),
        )
    resumed = fitted(small_recording, name, **SHORT, state_path=state, resume=True)
    whole = fitted(small_recording, name, **SHORT)
    assert all(torch.equal(resumed.weights[key], whole.weights[key]) for key in whole.weights)
