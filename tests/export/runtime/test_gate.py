"""What may go into a graph, and what the error says when something may not."""

from __future__ import annotations

from pathlib import Path

import bundle_factory as factory
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from daenr_common.errors import DaenrError, ImageError
from daenr_export.runtime.gate import Gate
from daenr_export.specs import BatchRange, GraphSpec, TensorSpec

RESPONSES = (factory.tensor("responses"),)
GATE = Gate(GraphSpec("responses", factory.tensor("image"), RESPONSES, BatchRange(1, 1, 8)))
PIXEL_GATE = Gate(GraphSpec("responses", factory.tensor("image", "uint8"), RESPONSES, BatchRange(2, 2, 8)))
FEATURE_GATE = Gate(GraphSpec("readout", factory.tensor("features"), RESPONSES, BatchRange(1, 1, 8)))
IMAGE = factory.some_images(3)


def with_value(value: float) -> np.ndarray:
    image = IMAGE.copy()
    image[1, 0, 17, 3] = value
    return image


@pytest.mark.parametrize(
    ("image", "problem", "remedy"),
    [
        (IMAGE.tolist(), "is a builtins.list, expected a numpy.ndarray", "convert it to a plain array"),
        (None, "is a builtins.NoneType", "plain array"),
        (np.ma.masked_array(IMAGE), "MaskedArray", "plain array"),
        (IMAGE.astype(np.float64), "is float64, expected float32", ".astype('float32')"),
        (IMAGE.astype(">f4"), "is >f4, expected float32", ".astype('float32')"),
        (np.zeros((1, 1, 32, 32), np.uint8), "is uint8, expected float32", "image / 127.5 - 1"),
        (np.zeros((1, 1, 32, 32), bool), "is bool", ".astype('float32')"),
        (IMAGE[0], "has the shape (1, 32, 32), expected (B, 1, 32, 32)", "image[numpy.newaxis]"),
        (IMAGE[0, 0], "has the shape (32, 32)", "image[numpy.newaxis, numpy.newaxis]"),
        (IMAGE[:, 0], "has the shape (3, 32, 32)", "images[:, numpy.newaxis]"),
        (np.moveaxis(IMAGE, 1, -1), "has the shape (3, 32, 32, 1)", "numpy.moveaxis(images, -1, 1)"),
        (IMAGE[..., :31], "has the shape (3, 1, 32, 31)", "resize it"),
        (np.array(0, np.float32), "has the shape ()", "resize it"),
        (np.repeat(IMAGE, 3, axis=0), "is a batch of 9, and the bundle was made for 1 to 8", "split it"),
        (IMAGE[:0], "is a batch of 0", "another batch range"),
        (with_value(np.nan), "holds 1 values that are NaN or infinite", "where the frame comes from"),
        (with_value(np.inf), "NaN or infinite", "where the frame comes from"),
        (with_value(-np.inf), "NaN or infinite", "where the frame comes from"),
        (with_value(1.001), "to 1.001, expected values in [-1, 1]", "image / 127.5 - 1"),
        (with_value(-1.001), "goes from -1.001", "image * 2 - 1"),
        (with_value(255), "to 255", "image / 127.5 - 1"),
    ],
)
def test_wrong_images_are_refused_with_what_to_do(image: np.ndarray, problem: str, remedy: str) -> None:
    with pytest.raises(ImageError) as caught:
        GATE(image)
    line = str(caught.value)
    assert line.startswith("image for the graph responses: ")
    assert problem in line
    assert remedy in line
    assert "\n" not in line
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, DaenrError)


def test_torch_tensors_are_refused_by_name() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(ImageError, match=r"is a torch\.Tensor"):
        GATE(torch.zeros(1, 1, 32, 32))


def test_a_right_image_passes_as_it_is() -> None:
    assert GATE(IMAGE) is IMAGE
    assert GATE(with_value(1.00005))[1, 0, 17, 3] == np.float32(1.00005)


@pytest.mark.parametrize(
    "image",
    [
        np.repeat(IMAGE, 2, axis=0)[::2],
        np.asfortranarray(IMAGE),
        IMAGE.transpose(0, 1, 3, 2),
        IMAGE[::-1, :, ::-1],
        np.broadcast_to(IMAGE[:1], (4, 1, 32, 32)),
        np.frombuffer(b"\0" + IMAGE.tobytes(), np.uint8)[1:].view(np.float32).reshape(IMAGE.shape),
    ],
)
def test_other_layouts_pass_as_contiguous_copies(image: np.ndarray) -> None:
    passed = GATE(image)
    assert passed.flags.c_contiguous
    assert passed.flags.aligned
    np.testing.assert_array_equal(passed, image)


def test_mapped_files_pass(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", IMAGE)
    np.testing.assert_array_equal(GATE(np.load(tmp_path / "images.npy", mmap_mode="r")), IMAGE)


def test_pixels() -> None:
    pixels = factory.some_images(2, pixels="uint8")
    assert PIXEL_GATE(pixels) is pixels
    with pytest.raises(ImageError, match="is float32, expected uint8; give the pixels 0…255 as uint8"):
        PIXEL_GATE(IMAGE)
    with pytest.raises(ImageError, match="is a batch of 1, and the bundle was made for 2 to 8"):
        PIXEL_GATE(pixels[:1])


def test_features_may_be_of_any_size_but_finite() -> None:
    features = np.full((1, 4, 8, 8), 1e30, np.float32)
    assert FEATURE_GATE(features) is features
    features[0, 0, 0, 0] = np.inf
    with pytest.raises(ImageError, match="features for the graph readout: holds 1 values"):
        FEATURE_GATE(features)
    with pytest.raises(ImageError, match=r"is int64, expected float32; convert it"):
        FEATURE_GATE(np.zeros((1, 4, 8, 8), int))


def test_inputs_of_half_precision_are_bound_by_their_type() -> None:
    gate = Gate(GraphSpec("readout", TensorSpec("features", "float16", (4,)), RESPONSES, BatchRange(1, 1, 8)))
    assert gate(np.full((1, 4), 60000, np.float16)).dtype == np.float16
    with pytest.raises(ImageError, match="NaN or infinite"):
        gate(np.full((1, 4), np.inf, np.float16))


@given(
    st.sampled_from([np.float32, np.float64, np.uint8, np.int64, np.complex64, np.dtype("U3"), np.dtype(object)]),
    hnp.array_shapes(min_dims=0, max_dims=5, max_side=3) | st.just((1, 1, 32, 32)),
    st.floats(width=32),
)
def test_any_array_passes_or_is_an_image_error(dtype: type, shape: tuple[int, ...], value: float) -> None:
    array = np.zeros(shape, dtype)
    if array.dtype.kind == "f":
        array[...] = value
    try:
        passed = GATE(array)
    except ImageError:
        return
    assert passed.dtype == np.float32
    assert passed.shape == (1, 1, 32, 32)
    assert np.all(np.abs(passed) <= 1.0001)
