from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import downscale_local_mean
from skimage.transform import resize as skimage_resize

from daenr_train.data.resampling import resize


def test_whole_factors_average_blocks():
    images = np.random.default_rng(0).uniform(-1, 1, (2, 64, 96))
    expected = np.stack([downscale_local_mean(image, (2, 3)) for image in images])
    assert np.allclose(resize(images), expected)


def test_the_right_size_is_left_alone():
    images = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32))
    assert np.allclose(resize(images), images)


def test_31_pixels_agree_with_linear_interpolation():
    column, row = np.meshgrid(np.linspace(0, 6, 31), np.linspace(0, 4, 31))
    smooth = np.sin(column) * np.cos(row)
    assert np.abs(resize(smooth[None])[0] - skimage_resize(smooth, (32, 32), order=1, mode="edge")).max() < 0.06


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 90), width=st.integers(1, 90), seed=st.integers(0, 99))
def test_mean_and_range_are_kept(height, width, seed):
    images = np.random.default_rng(seed).uniform(-1, 1, (1, height, width))
    resized = resize(images)
    assert np.isclose(resized.mean(), images.mean())
    assert resized.min() >= images.min() - 1e-12
    assert resized.max() <= images.max() + 1e-12
