import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from daenr_train.fit import TrainingConfig
from daenr_train.fit.losses import data_terms, regularisation_terms, total, weight_of
from daenr_train.models import make_model
from daenr_train.spec import parse_model_name

ALL_TERMS = TrainingConfig(feature_sparsity=0.1)


def model_and_batch(name):
    model = make_model(parse_model_name(name, n_neurons=5), seed=0)
    images = torch.rand(4, 1, 32, 32) * 2 - 1
    responses = torch.rand(4, 5) * 3
    return model, images, responses


def test_data_terms_are_those_of_the_paper():
    model, images, responses = model_and_batch("cae-fr2")
    output = model(images)
    terms = data_terms(output, images, responses)
    poisson = torch.nn.PoissonNLLLoss(log_input=False, eps=1e-5, reduction="sum")
    torch.testing.assert_close(terms["poisson"], poisson(output.responses, responses) / 4)
    error = (images - output.reconstruction).detach().numpy()
    expected = np.mean([np.linalg.norm(one) ** 2 for one in error])
    np.testing.assert_allclose(terms["reconstruction"].item(), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cae-fr2", {"reconstruction", "poisson"}),
        ("vae-fc1", {"reconstruction", "poisson", "kl"}),
        ("vqvae-fm3", {"reconstruction", "poisson", "codebook", "commitment"}),
        ("cnn-fr1", {"poisson"}),
        ("vae", {"reconstruction", "kl"}),
    ],
)
def test_a_model_has_the_terms_of_its_parts(name, expected):
    model, images, responses = model_and_batch(name)
    assert set(data_terms(model(images), images, responses)) == expected


def test_the_total_is_the_joint_loss_of_equation_3():
    config = TrainingConfig(alpha=2.0, beta=3.0, kl=0.5, readout_sparsity=0.01)
    terms = {name: torch.tensor(value) for name, value in {"reconstruction": 7.0, "poisson": 11.0, "kl": 13.0}.items()}
    terms["readout_sparsity"] = torch.tensor(100.0)
    assert total(terms, config).item() == pytest.approx(2 * 7 + 3 * 11 + 2 * 0.5 * 13 + 0.01 * 100)
    assert weight_of("commitment", TrainingConfig(alpha=4.0)) == 1.0


def test_regularisation_of_the_factorized_readout():
    model, images, _ = model_and_batch("cae-fr2")
    terms = regularisation_terms(model, model(images).features, ALL_TERMS)
    mask, weights = (tensor.detach().numpy() for tensor in (model.readout.mask, model.readout.weights))
    expected = sum(np.abs(m).sum() * np.abs(w).sum() for m, w in zip(mask, weights, strict=True))
    np.testing.assert_allclose(terms["readout_sparsity"].item(), expected, rtol=1e-5)

    laplacian = np.array([[0.25, 0.5, 0.25], [0.5, -3.0, 0.5], [0.25, 0.5, 0.25]])
    for name, maps in {"mask_smoothness": mask.reshape(5, 8, 8), "filter_smoothness": model.filters[0][:, 0]}.items():
        maps = np.asarray(maps.detach() if isinstance(maps, torch.Tensor) else maps)
        expected = sum((correlate(one, laplacian, mode="constant") ** 2).sum() for one in maps)
        np.testing.assert_allclose(terms[name].item(), expected, rtol=1e-4)

    second = model.filters[1].detach().numpy()
    expected = np.mean([sum(np.linalg.norm(kernel) for kernel in out) for out in second])
    np.testing.assert_allclose(terms["filter_sparsity"].item(), expected, rtol=1e-4)
    np.testing.assert_allclose(terms["feature_sparsity"].item(), model(images).features.abs().mean().item(), rtol=1e-5)


def test_what_is_not_learned_is_not_regularised():
    model, images, _ = model_and_batch("cae-fm2")
    assert "mask_smoothness" not in regularisation_terms(model, model(images).features, ALL_TERMS)
    autoencoder, images, _ = model_and_batch("cae")
    assert regularisation_terms(autoencoder, autoencoder(images).features, ALL_TERMS) == {}


def test_a_term_without_weight_is_not_computed():
    model, images, _ = model_and_batch("cae-fr2")
    config = TrainingConfig(readout_sparsity=0, mask_smoothness=0, filter_smoothness=0, filter_sparsity=0)
    assert regularisation_terms(model, model(images).features, config) == {}
