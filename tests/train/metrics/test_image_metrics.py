from __future__ import annotations

import json

import numpy as np
import pytest
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from daenr_common.errors import ImageError
from daenr_train import metrics


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(-1, 1, (5, 1, 32, 32)).astype(np.float32)


@pytest.fixture
def reconstructions(images):
    return np.clip(images + 0.2 * np.random.default_rng(1).standard_normal(images.shape), -1, 1).astype(np.float32)


def test_figures_are_those_of_scikit_image(images, reconstructions):
    scores = metrics.score_images(images, reconstructions)
    for index, (image, reconstruction) in enumerate(zip(images[:, 0], reconstructions[:, 0], strict=True)):
        assert scores.mse[index] == pytest.approx(mean_squared_error(image, reconstruction))
        psnr = peak_signal_noise_ratio(image.astype(float), reconstruction.astype(float), data_range=2)
        assert scores.psnr[index] == pytest.approx(psnr)
        ssim = structural_similarity(image, reconstruction, data_range=2)
        assert scores.ssim[index] == pytest.approx(ssim, abs=1e-5)
    summary = scores.summary()
    assert summary["mse"] == pytest.approx(scores.mse.mean())
    assert summary["psnr"] == pytest.approx(scores.psnr.mean())
    assert summary["ssim"] == pytest.approx(scores.ssim.mean())


def test_closed_forms():
    black, white = -np.ones((1, 1, 8, 8)), np.ones((1, 1, 8, 8))
    assert metrics.mse(black, white) == 4
    assert metrics.psnr(black, white) == 0
    assert metrics.psnr(white, white * 0.8) == pytest.approx(20)


def test_exact_reconstructions_are_counted_and_left_out_of_the_mean(images, reconstructions):
    reconstructions[2] = images[2]
    scores = metrics.score_images(images, reconstructions)
    assert np.isinf(scores.psnr[2])
    assert scores.ssim[2] == pytest.approx(1)
    summary = scores.summary()
    assert summary["n_exact"] == 1
    assert summary["psnr"] == pytest.approx(np.delete(scores.psnr, 2).mean())
    exact = metrics.score_images(images, images).summary()
    assert exact["psnr"] is None
    json.dumps(exact, allow_nan=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:3], r"reconstructions: has shape \(3, 1, 32, 32\), but the images \(5, 1, 32, 32\)"),
        (lambda x: x * np.nan, "reconstructions: holds NaN"),
    ],
)
def test_unusable_reconstructions_are_refused(images, change, message):
    with pytest.raises(ImageError, match=message):
        metrics.score_images(images, change(images))


@pytest.mark.parametrize("shape", [(32, 32), (5, 32, 32), (5, 3, 32, 32), (0, 1, 32, 32)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ImageError, match="images: has shape"):
        metrics.mse(np.zeros(shape), np.zeros(shape))


def test_images_below_the_window_have_no_similarity():
    with pytest.raises(ImageError, match="too small for windows of 7 × 7"):
        metrics.ssim(np.zeros((1, 1, 6, 32)), np.zeros((1, 1, 6, 32)))
