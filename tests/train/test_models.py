import numpy as np
import pytest
import torch

from daenr_train.models import inference_parts, make_model
from daenr_train.models.latent import GaussianLatent, QuantisedLatent
from daenr_train.models.readout import FactorizedReadout, start_from_mean
from daenr_train.spec import IMAGE_SIZE, model_names, parse_model_name

N_NEURONS = 7


def images(batch=3):
    return torch.rand(batch, 1, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(1)) * 2 - 1


def settled(name):
    """A model whose batch norms have seen data, so that eval mode does something."""
    model = make_model(parse_model_name(name, n_neurons=N_NEURONS), seed=3)
    with torch.no_grad():
        model.train()(images(32))
    return model.eval()


@pytest.mark.parametrize("name", model_names())
def test_each_model_is_the_composition_of_its_parts(name):
    model = settled(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        output = model(images())
        parts = inference_parts(model)
        features = parts["encoder"](images())
        assert features.shape[1:] == model.spec.features_shape()
        torch.testing.assert_close(features, output.features)
        assert ("readout" in parts) == (model.spec.readout is not None)
        assert ("decoder" in parts) == (model.spec.autoencoder is not None)
        if "readout" in parts:
            torch.testing.assert_close(parts["readout"](features), output.responses)
            assert output.responses.shape == (3, N_NEURONS)
            assert (output.responses >= 0).all()
        if "decoder" in parts:
            reconstruction = parts["decoder"](features)[0]
            torch.testing.assert_close(reconstruction, output.reconstruction, atol=1e-5, rtol=1e-5)
            assert reconstruction.shape == (3, 1, IMAGE_SIZE, IMAGE_SIZE)
            assert reconstruction.abs().max() <= 1
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    model(images())  # still works as before


@pytest.mark.parametrize("name", ["cae-fr2", "cnn-fm3"])
def test_factorized_readout_is_equation_5(name):
    readout = settled(name).readout
    with torch.no_grad():
        readout.bias.uniform_(-1, 1)
        features = torch.randn(4, *parse_model_name(name, n_neurons=N_NEURONS).features_shape())
        answer = readout(features).numpy()
    pooled = np.einsum(
        "np,nc,bcp->bn", readout.mask.detach().numpy(), readout.weights.detach().numpy(), features.flatten(2).numpy()
    )
    expected = np.log1p(np.exp(pooled + readout.bias.detach().numpy()))
    np.testing.assert_allclose(answer, expected, rtol=2e-5)


def test_masks_and_weights_stay_non_negative_whatever_the_optimiser_does():
    readout = settled("cae-fr2").readout
    with torch.no_grad():
        for parameter in readout.parameters():
            parameter.uniform_(-1, 1)
    assert (readout.mask >= 0).all()
    assert (readout.weights >= 0).all()
    parts = inference_parts(settled("cae-fr2"))
    assert not hasattr(parts["readout"], "parametrizations")


def test_a_fixed_mask_is_not_learned():
    readout = settled("cae-fm2").readout
    assert isinstance(readout, FactorizedReadout)
    assert {name for name, _ in readout.named_parameters()} == {"weights", "bias"}
    assert "mask" in readout.state_dict()


def test_training_starts_from_the_mean_response():
    readout = settled("cnn-fr1").readout
    mean = [0.01, 0.5, 1.0, 2.0, 5.0, 20.0, 0.0]
    start_from_mean(readout, mean)
    answer = torch.nn.functional.softplus(readout.bias).detach().numpy()
    np.testing.assert_allclose(answer, np.maximum(mean, 1e-3), rtol=1e-3)


def test_kl_is_that_of_two_gaussians():
    latent = GaussianLatent(parse_model_name("vae", n_neurons=0))
    features = torch.randn(5, *latent.shape)
    mean, log_variance = latent.to_mean(features.flatten(1)), latent.to_log_variance(features.flatten(1))
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    prior = torch.distributions.Normal(0.0, 1.0)
    expected = torch.distributions.kl_divergence(posterior, prior).sum(1).mean()
    torch.testing.assert_close(latent(features)[1]["kl"], expected)


def test_quantised_latent_takes_the_nearest_code_and_passes_the_gradient_straight_through():
    latent = QuantisedLatent(parse_model_name("vqvae", n_neurons=0))
    features = torch.randn(6, 256, 2, 2, requires_grad=True)
    quantised, codes = latent.infer(features)
    continuous = latent.to_codes(features)
    vectors = continuous.detach().permute(0, 2, 3, 1).reshape(-1, 256)
    expected = torch.cdist(vectors, latent.codebook.detach()).argmin(1).view(6, 2, 2)
    assert torch.equal(codes, expected)
    torch.testing.assert_close(quantised, latent.codebook[expected].permute(0, 3, 1, 2))

    through, terms = latent(features)
    torch.testing.assert_close(through, quantised)
    gradient = torch.randn_like(through)
    (straight,) = torch.autograd.grad(through, features, gradient, retain_graph=True)
    (direct,) = torch.autograd.grad(continuous, features, gradient)
    torch.testing.assert_close(straight, direct)
    difference = (continuous - quantised).square().sum((1, 2, 3)).mean()
    torch.testing.assert_close(terms["codebook"], difference)
    torch.testing.assert_close(terms["commitment"], difference)
    assert torch.autograd.grad(terms["codebook"], features, allow_unused=True)[0] is None
    assert torch.autograd.grad(terms["commitment"], latent.codebook, allow_unused=True)[0] is None


def test_initial_weights_depend_on_the_seed_alone():
    spec = parse_model_name("vqvae-fr3", n_neurons=N_NEURONS)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = make_model(spec, 0), make_model(spec, 0), make_model(spec, 1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.filters[0], other.filters[0])
