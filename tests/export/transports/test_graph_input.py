from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import block_reduce
from skimage.transform import resize_local_mean

import daenr_export
from daenr_common.errors import SpecError
from daenr_export.specs import TensorSpec
from daenr_export.transports.graph_input import GraphInput

PIXELS = TensorSpec("image", "uint8", (1, 32, 32))
RANDOM = np.random.default_rng(4)


@pytest.mark.parametrize("factor", [1, 2, 5])
def test_pixels_are_averaged_over_areas(factor):
    pixels = RANDOM.integers(0, 256, (32 * factor, 32 * factor), np.uint8)
    image = GraphInput()(pixels)
    assert image.shape == (1, 1, 32, 32)
    assert image.dtype == np.float32
    expected = block_reduce(pixels.astype(float), (factor, factor), np.mean) / 127.5 - 1
    np.testing.assert_allclose(image[0, 0], expected, atol=1e-6)


def test_black_and_white_are_the_ends_of_the_range():
    pixels = np.zeros((32, 32), np.uint8)
    pixels[0] = 255
    image = GraphInput()(pixels)
    assert image.min() == -1
    assert abs(image.max() - 1) < 1e-6


def test_a_graph_of_pixels_is_given_pixels():
    pixels = RANDOM.integers(0, 256, (32, 32), np.uint8)
    image = GraphInput(PIXELS)(pixels)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image[0, 0], pixels)


@pytest.mark.parametrize("shape", [(64, 96), (96, 64)])
def test_the_middle_is_kept_and_nothing_squashed(shape):
    pixels = RANDOM.integers(0, 256, shape, np.uint8)
    top, left = (shape[0] - 64) // 2, (shape[1] - 64) // 2
    middle = pixels[top : top + 64, left : left + 64].astype(float)
    np.testing.assert_allclose(GraphInput(PIXELS)(pixels)[0, 0], block_reduce(middle, (2, 2), np.mean), atol=0.501)


def test_the_whole_may_be_squashed_when_asked():
    pixels = RANDOM.integers(0, 256, (64, 96), np.uint8)
    expected = block_reduce(pixels.astype(float), (2, 3), np.mean)
    np.testing.assert_allclose(GraphInput(PIXELS, crop=False)(pixels)[0, 0], expected, atol=0.501)


@pytest.mark.parametrize("shape", [(50, 50), (33, 70), (20, 15)])
def test_areas_that_are_no_whole_pixels_agree_with_scikit_image(shape):
    pixels = RANDOM.integers(0, 256, shape, np.uint8)
    image = GraphInput(scale=1, offset=0, crop=False)(pixels)
    np.testing.assert_allclose(image[0, 0], resize_local_mean(pixels.astype(float), (32, 32)), atol=1e-3)


def test_part_of_a_pixel_counts_in_part():
    pixels = np.tile(np.uint8([0, 100, 200]), (2, 1))  # the middle is half of the first, the second, half of the third
    spec = TensorSpec("image", "float32", (1, 1, 1))
    np.testing.assert_allclose(GraphInput(spec, scale=1, offset=0)(pixels), [[[[100]]]], rtol=1e-6)


def test_the_scale_is_the_bundle_s(shared_tiny_bundle):
    with daenr_export.load(shared_tiny_bundle) as model:
        graph_input = GraphInput.of(model)
        preprocessing = model.manifest.preprocessing
        assert (graph_input.scale, graph_input.offset) == (preprocessing.scale, preprocessing.offset)
        assert graph_input.spec == model.graphs["responses"].input
        model.responses(graph_input(RANDOM.integers(0, 256, (50, 40), np.uint8)))
        with pytest.raises(SpecError, match=r"graph: joined is not in the bundle; name one of .*joint"):
            GraphInput.of(model, "joined")
        with pytest.raises(SpecError, match=r"input features: is float32 of shape .* name a graph that takes an image"):
            GraphInput.of(model, "readout")


def test_another_scale_is_kept():
    image = GraphInput(scale=2.0, offset=-3.0)(np.full((32, 32), 7, np.uint8))
    assert np.all(image == 11)
