from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from daenr_common.errors import RecordingError
from daenr_train.data import Recording


def changed(array, index, value):
    array = array.copy()
    array[index] = value
    return array


def test_sizes_come_from_the_arrays(recording):
    assert (recording.n_images, recording.n_neurons, recording.n_test_images, recording.n_repeats) == (12, 5, 3, 4)


def test_other_precisions_and_whole_numbers_are_converted(fields):
    fields["images"] = fields["images"].astype(np.float64)
    fields["responses"] = np.ones((12, 5), dtype=np.int64)
    recording = Recording(**fields)
    assert recording.images.dtype == recording.responses.dtype == np.float32


def test_rounding_beyond_the_range_is_clipped(fields):
    fields["images"] = changed(fields["images"].astype(np.float64), (0, 0, 0, 0), 1 + 1e-7)
    assert Recording(**fields).images.max() <= 1


def test_a_missing_repeat_is_allowed(fields):
    fields["test_responses"] = changed(fields["test_responses"], (3, 1), np.nan)
    assert np.isnan(Recording(**fields).test_responses[3, 1]).all()


BAD_FIELDS = {
    "flat images": ("images", lambda a: a.reshape(12, -1), r"images: has shape \(12, 1024\), expected .*32, 32"),
    "31 pixels": ("images", lambda a: a[:, :, :31, :31], r"shape \(12, 1, 31, 31\)"),
    "no image": ("images", lambda a: a[:0], "holds no image"),
    "bytes": ("images", lambda a: (a * 100).astype(np.uint8), "dtype uint8, expected floating.*127.5"),
    "objects": ("images", lambda a: a.astype(object), "dtype object"),
    "unscaled": ("images", lambda a: a * 127.5 + 127.5, "values from .* expected -1 to 1"),
    "NaN pixel": ("images", lambda a: changed(a, (3, 0, 0, 0), np.nan), "1 NaN or infinite values in 1 rows"),
    "inf pixel": ("test_images", lambda a: changed(a, (1, 0, 0, 0), np.inf), "test_images: holds 1 NaN or inf"),
    "ragged": ("images", lambda a: [[1.0], [1.0, 2.0]], "is not an array"),
    "flat responses": ("responses", lambda a: a.ravel(), r"responses: has shape \(60,\)"),
    "complex": ("responses", lambda a: a.astype(complex), "dtype complex128"),
    "boolean": ("responses", lambda a: a > 1, "dtype bool"),
    "negative": ("responses", lambda a: changed(a, (2, 2), -0.5), "1 negative values, the least -0.5"),
    "NaN response": ("responses", lambda a: changed(a, (2, 2), np.nan), "1 NaN or infinite"),
    "inf response": ("responses", lambda a: changed(a, (2, 2), np.inf), "1 NaN or infinite"),
    "beyond float32": ("responses", lambda a: changed(a.astype(float), (2, 2), 1e300), "beyond the range of float32"),
    "too few rows": ("responses", lambda a: a[:7], "covers 7 images, but the images are 12"),
    "too few columns": ("responses", lambda a: a[:, :4], "covers 4 neurons, but neuron_ids are 5"),
    "averaged test": ("test_responses", lambda a: a.mean(0), r"test_responses: has shape \(3, 5\)"),
    "no repeat": ("test_responses", lambda a: a[:0], r"has shape \(0, 3, 5\)"),
    "fewer test images": ("test_responses", lambda a: a[:, :2], "covers 2 images"),
    "inf repeat": ("test_responses", lambda a: changed(a, (0, 0, 0), np.inf), "infinite"),
    "negative repeat": ("test_responses", lambda a: changed(a, (0, 0, 0), -1), "negative"),
    "image never shown": (
        "test_responses",
        lambda a: changed(a, np.s_[:, 2], np.nan),
        "no response at all to test image 2",
    ),
    "twin neurons": ("neuron_ids", lambda a: ("a", "b", "c", "b", "d"), "'b' more than once"),
    "no neuron": ("neuron_ids", lambda a: (), "names no neuron"),
    "number as id": ("neuron_ids", lambda a: (1, 2, 3, 4, 5), "holds 1, expected a text"),
    "one text": ("neuron_ids", lambda a: "abcde", "is a str, expected a sequence"),
    "control character": ("neuron_ids", lambda a: ("a\0", "b", "c", "d", "e"), "printable"),
    "region": ("region", lambda a: "", "region: holds ''"),
    "rates": ("true_test_rates", lambda a: np.ones((3, 4)), "true_test_rates: covers 4 neurons"),
}


@pytest.mark.parametrize(("field", "spoil", "message"), BAD_FIELDS.values(), ids=BAD_FIELDS.keys())
def test_unusable_content_is_refused_in_one_line(fields, field, spoil, message):
    fields[field] = spoil(fields.get(field))
    with pytest.raises(RecordingError, match=message) as caught:
        Recording(**fields)
    assert "\n" not in str(caught.value)


def test_an_image_in_both_sets_is_refused(fields):
    fields["test_images"] = changed(fields["test_images"], 2, fields["images"][7])
    with pytest.raises(RecordingError, match="test image 2 is also training image 7"):
        Recording(**fields)


def test_negative_zero_does_not_hide_a_common_image(fields):
    fields["images"] = changed(fields["images"], 0, 0.0)
    fields["test_images"] = changed(fields["test_images"], 0, -0.0)
    with pytest.raises(RecordingError, match="test image 0 is also training image 0"):
        Recording(**fields)


def test_the_file_is_named_when_there_is_one(fields):
    fields["responses"] = -fields["responses"]
    with pytest.raises(RecordingError, match=r"^mouse\.npz: responses: holds"):
        Recording(**fields, source="mouse.npz")
    with pytest.raises(RecordingError, match=r"^m/training_set\.npy: holds"):
        Recording(**fields, source="m", files={"responses": "m/training_set.npy"})


def test_the_fingerprint_follows_the_content(recording, fields):
    assert len(recording.fingerprint) == 64
    assert Recording(**fields, source="elsewhere").fingerprint == recording.fingerprint
    for change in ({"region": "there"}, {"responses": fields["responses"] + 1}, {"neuron_ids": tuple("vwxyz")}):
        assert dataclasses.replace(recording, **change).fingerprint != recording.fingerprint


def test_the_fingerprint_ignores_the_kind_of_zero_and_nan(fields):
    zeros = fields["responses"] * 0
    fields["test_responses"] = changed(fields["test_responses"], (0, 0, 0), np.nan)
    first = Recording(**fields | {"responses": zeros})
    fields["test_responses"] = changed(fields["test_responses"], (0, 0, 0), -np.float32(np.nan))
    assert Recording(**fields | {"responses": -zeros}).fingerprint == first.fingerprint


ANYTHING = hnp.arrays(dtype=hnp.scalar_dtypes(), shape=hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))


@settings(max_examples=150, deadline=None)
@given(field=st.sampled_from(["images", "responses", "test_images", "test_responses"]), array=ANYTHING)
def test_no_array_causes_another_error(field, array):
    valid = {
        "images": np.zeros((2, 1, 32, 32), np.float32),
        "responses": np.zeros((2, 2), np.float32),
        "test_images": np.ones((1, 1, 32, 32), np.float32),
        "test_responses": np.zeros((2, 1, 2), np.float32),
        "neuron_ids": ("a", "b"),
        "region": "r",
    }
    try:
        recording = Recording(**valid | {field: array})
    except RecordingError:
        return
    assert np.shape(getattr(recording, field)) == np.shape(valid[field])
