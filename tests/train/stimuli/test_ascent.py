"""Most exciting images of neurons whose best image is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import eigh

from daenr_common.errors import SpecError
from daenr_train.data.insilico import population_of
from daenr_train.data.insilico.neurons import SEMI_SATURATION
from daenr_train.stimuli.ascent import Climb, excite_by_pixels, gradient, unit
from daenr_train.stimuli.budget import Budget

NEURONS = list(range(0, 96, 8))
BUDGET = Budget(0.0, 0.05)


@pytest.fixture(scope="module")
def population():
    return population_of(3)


@pytest.fixture(scope="module")
def respond(population):
    """The simulated neurons' drive, as `Population.drive` computes it, for torch to differentiate."""
    even, odd, pool = (torch.from_numpy(a).float() for a in (population.even, population.odd, population.pool))
    is_complex, power = torch.from_numpy(population.is_complex), torch.from_numpy(population.exponent).float() / 2

    def drive(images):
        pixels = images.flatten(1)
        a, b = pixels @ even.T, pixels @ odd.T
        energy = torch.where(is_complex, a**2 + b**2, a.clamp_min(0) ** 2) + 1e-9
        variance = (pixels**2 @ pool.T - (pixels @ pool.T) ** 2).clamp_min(0)
        return (energy / (SEMI_SATURATION**2 + variance)) ** power

    images = np.random.default_rng(0).uniform(-1, 1, (5, 1, 32, 32)).astype(np.float32)
    np.testing.assert_allclose(drive(torch.from_numpy(images)), population.drive(images), rtol=1e-3, atol=1e-4)
    return drive


def filters_of(population, neuron):
    """(1024, 1) of a simple cell, (1024, 2) of a complex one."""
    both = [population.even[neuron], population.odd[neuron]]
    return np.stack(both if population.is_complex[neuron] else both[:1], axis=1)


def best_drive(population, neuron):
    """The largest drive of any image with this mean and norm, by a generalised eigenvalue.

    With a norm of n, drive = (xᵀFFᵀx / xᵀAx)^(e/2) where A = SEMI_SATURATION² / n² · I + the covariance of the pool.
    """
    pool, filters = population.pool[neuron], filters_of(population, neuron)
    grey = np.linalg.qr(np.ones((1024, 1)), mode="complete")[0][:, 1:]  # images without a mean
    a = np.eye(1024) * (SEMI_SATURATION / (BUDGET.contrast * 32)) ** 2 + np.diag(pool) - np.outer(pool, pool)
    b = grey.T @ filters @ filters.T @ grey
    largest = eigh(b, grey.T @ a @ grey, eigvals_only=True, subset_by_index=[1022, 1022])[0]
    return largest ** (population.exponent[neuron] / 2)


def likeness(population, neuron, image):
    """The cosine between an image and a simple cell's Gabor, or the plane of a complex cell's two."""
    deviation = (image - image.mean()).flatten().double().numpy()
    plane, _ = np.linalg.qr(filters_of(population, neuron))
    found = plane.T @ (deviation / np.linalg.norm(deviation))
    return (
        np.linalg.norm(found)
        if population.is_complex[neuron]
        else float(found[0] * np.sign(plane[:, 0] @ population.even[neuron]))
    )


def test_the_best_image_of_all_is_found(population, respond):
    images = excite_by_pixels(respond, NEURONS, BUDGET, Climb(smoothing=0))
    for image, neuron in zip(images, NEURONS[:6], strict=False):
        reached = float(respond(image[None])[0, neuron])
        assert reached == pytest.approx(best_drive(population, neuron), rel=0.01)
    assert min(likeness(population, neuron, image) for image, neuron in zip(images, NEURONS, strict=True)) > 0.99


def test_smoothing_costs_little(population, respond):
    images = excite_by_pixels(respond, NEURONS, BUDGET, Climb(smoothing=1))
    found = [likeness(population, neuron, image) for image, neuron in zip(images, NEURONS, strict=True)]
    assert min(found) > 0.9
    assert np.median(found) > 0.98


def test_images_keep_to_the_budget(respond):
    budget = Budget(-0.2, 0.1)
    images = excite_by_pixels(respond, [0, 5], budget, Climb(steps=30))
    assert images.shape == (2, 1, 32, 32)
    assert images.abs().max() <= 1
    np.testing.assert_allclose(images.mean((1, 2, 3)), -0.2, atol=1e-4)
    np.testing.assert_allclose(images.std((1, 2, 3), correction=0), 0.1, rtol=1e-3)


def test_a_seed_gives_the_same_image_whichever_neurons_are_asked_for(respond):
    climb = Climb(steps=40, starts=2)
    both, one = (excite_by_pixels(respond, neurons, BUDGET, climb) for neurons in ([3, 9], [9]))
    assert torch.equal(both, excite_by_pixels(respond, [3, 9], BUDGET, climb))
    torch.testing.assert_close(both[1:], one, atol=1e-4, rtol=1e-3)
    other = excite_by_pixels(respond, [9], BUDGET, Climb(steps=1, starts=1, seed=1))
    assert not torch.allclose(other, excite_by_pixels(respond, [9], BUDGET, Climb(steps=1, starts=1)))


def test_a_neuron_that_answers_to_nothing_leaves_the_noise_as_it_is():
    images = excite_by_pixels(lambda x: x.sum((1, 2, 3))[:, None] * 0, [0], BUDGET, Climb(steps=3, starts=1))
    assert torch.isfinite(images).all()
    assert float(images.std(correction=0)) == pytest.approx(0.05, rel=1e-3)


def test_gradients_are_those_of_each_points_own_neuron():
    points = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    found = gradient(lambda x: torch.stack([x[:, 0] ** 2, x[:, 1] ** 3], 1), points, torch.tensor([1, 0]))
    assert found.tolist() == [[0.0, 12.0], [6.0, 0.0]]
    assert unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Budget(1.0, 0.1), "mean grey: is 1.0, expected a number between -1 and 1"),
        (lambda: Budget(float("nan"), 0.1), "mean grey: is nan"),
        (lambda: Budget(0.0, 0.0), "contrast: is 0.0, expected a number > 0 and ≤ 1"),
        (lambda: Budget(0.6, 0.9), "contrast: is 0.9, expected a number > 0 and ≤ 0.8"),
        (lambda: Budget(0.0, float("inf")), "contrast: is inf"),
        (lambda: Climb(steps=0), "steps, starts and seed: are 0, 4 and 0"),
        (lambda: Climb(smoothing=-1), "smoothing: is -1"),
        (lambda: Climb(smoothing=float("nan")), "smoothing: is nan"),
    ],
)
def test_impossible_settings_are_refused(make, message):
    with pytest.raises(SpecError, match=message):
        make()


def test_clipping_is_made_up_for_where_it_can_be():
    spots = torch.zeros(1, 1, 32, 32)
    spots[0, 0, 10:20, 10:20] = 1
    image = Budget(0.0, 0.5).apply(spots)
    assert image.abs().max() <= 1
    assert float(image.mean()) == pytest.approx(0, abs=0.12)  # a tenth of the pixels cannot be brighter than white
    grey = Budget(0.3, 0.1).apply(torch.ones(1, 1, 32, 32))
    assert torch.allclose(grey, torch.tensor(0.3), atol=1e-3)
