from __future__ import annotations

import numpy as np
import pytest
import torch
from model_factory import images, random_model

from daenr_common.errors import BundleError, ExportError
from daenr_export.bundle.golden import MAX_IMAGES, Golden, batch_sizes
from daenr_export.graphs.pixels import Pixels
from daenr_export.graphs.reference import make_golden
from daenr_export.specs import BatchRange, GraphSpec, TensorSpec

PIXELS = Pixels(1 / 127.5, -1.0)
ENCODER = GraphSpec(
    "encoder",
    TensorSpec("image", "float32", (1, 32, 32)),
    (TensorSpec("features", "float32", (64, 8, 8)),),
    BatchRange(1, 1, 4),
)


@pytest.fixture(scope="module")
def model():
    return random_model("vqvae-fr2")


@pytest.fixture(scope="module")
def arrays(model):
    return make_golden(model, images(5))


def test_references_are_the_model_in_float64_rounded_once(model, arrays):
    with torch.no_grad():
        exact = random_model("vqvae-fr2").double()(torch.from_numpy(images(5)).double())
    for graph in ("responses", "joint"):
        np.testing.assert_array_equal(arrays[f"{graph}.responses"], exact.responses.float())
    for graph in ("reconstruction", "joint"):
        np.testing.assert_allclose(arrays[f"{graph}.reconstruction"], exact.reconstruction, atol=1e-7)
    np.testing.assert_array_equal(arrays["encoder.features"], exact.features.float())
    assert next(model.parameters()).dtype is torch.float32


def test_graphs_of_features_answer_the_rounded_features(model, arrays):
    features = torch.from_numpy(arrays["encoder.features"]).double()
    with torch.no_grad():
        exact = random_model("vqvae-fr2").double().readout(features)
    np.testing.assert_array_equal(arrays["readout.responses"], exact.float())
    assert arrays["decoder.codes"].dtype == np.int64
    assert arrays["decoder.codes"].shape == (5, 2, 2)


def test_images_of_pixels_are_rounded_first(model):
    arrays = make_golden(model, images(3), PIXELS)
    assert arrays["image"].dtype == np.uint8
    assert np.abs(arrays["image.scaled"] - images(3)).max() <= 0.5 / 127.5 + 1e-6
    exact = torch.from_numpy(arrays["image"] / 127.5 - 1)
    with torch.no_grad():
        responses = random_model("vqvae-fr2").double()(exact).responses
    np.testing.assert_allclose(arrays["responses.responses"], responses, rtol=1e-6)


def test_the_golden_file_stays_small(model):
    assert len(make_golden(model, images(MAX_IMAGES + 1))["image"]) == MAX_IMAGES


def test_no_images_and_no_numbers_are_refused(model):
    with pytest.raises(ExportError, match="example_images: are none"):
        make_golden(model, images(5)[:0])
    broken = random_model("cae-fr2")
    with torch.no_grad():
        broken.readout.bias[0] = torch.nan
    with pytest.raises(ExportError, match=r"model cae-fr2: answers NaN or infinity in readout.responses"):
        make_golden(broken, images(2))


def test_inputs_and_references_are_found_by_graph(arrays):
    golden = Golden(arrays, "here")
    np.testing.assert_array_equal(golden.inputs(ENCODER), arrays["image"])
    assert list(golden.references(ENCODER)) == ["features"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"encoder.features": None}, "holds no encoder.features"),
        ({"encoder.features": np.zeros((0, 64, 8, 8), "f4")}, "holds no encoder.features"),
        ({"encoder.features": np.zeros((5, 64, 8, 8))}, r"holds encoder.features as float64 \(5, 64, 8, 8\)"),
        ({"encoder.features": np.zeros((5, 32, 8, 8), "f4")}, r".*, and the manifest says float32 \(N, 64, 8, 8\)"),
    ],
)
def test_a_reference_that_is_missing_or_does_not_fit_is_an_error(arrays, change, problem):
    kept = {name: array for name, array in (arrays | change).items() if array is not None}
    with pytest.raises(BundleError, match=f"here: {problem}"):
        Golden(kept, "here").references(ENCODER)


@pytest.mark.parametrize(
    ("batch", "sizes"),
    [
        (BatchRange(1, 1, 64), (1, 2, 3, 64)),
        (BatchRange(1, 16, 64), (1, 2, 3, 16, 64)),
        (BatchRange(1, 1, 1), (1,)),
        (BatchRange(4, 5, 5), (4, 5)),
    ],
)
def test_the_sizes_that_are_checked_lie_in_the_range(batch, sizes):
    assert batch_sizes(batch) == sizes


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_reference_that_is_no_number_is_refused(arrays, value):
    broken = arrays["encoder.features"].copy()
    broken[2, 3, 4, 5] = value
    with pytest.raises(BundleError, match=r"golden file: holds NaN or infinity in encoder\.features"):
        Golden({"encoder.features": broken}).references(ENCODER)
