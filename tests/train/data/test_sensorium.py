from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from daenr_common.errors import RecordingError
from daenr_train.data import open_recording


def test_trials_are_gathered_by_tier_and_image(sensorium_tree, tmp_path):
    folder = sensorium_tree(tmp_path / "mouse")
    recording = open_recording(folder)
    assert (recording.n_images, recording.n_neurons, recording.n_test_images, recording.n_repeats) == (8, 7, 2, 3)
    assert recording.neuron_ids[0] == "100"
    assert recording.region == "mouse"
    responses = [np.load(folder / f"data/responses/{trial}.npy").astype(np.float32) for trial in range(14)]
    assert np.array_equal(recording.responses, np.stack(responses[:8]))
    assert np.array_equal(recording.test_responses[:, 0], np.stack([responses[8], responses[10], responses[12]]))
    assert np.array_equal(recording.test_responses[:2, 1], np.stack([responses[9], responses[11]]))
    assert np.isnan(recording.test_responses[2, 1]).all()


def test_images_are_squeezed_as_a_whole_and_keep_their_mean(sensorium_tree, tmp_path):
    folder = sensorium_tree(tmp_path / "mouse")
    image = np.load(folder / "data/images/0.npy")
    assert open_recording(folder).images[0].mean() == pytest.approx(image.mean() / 127.5 - 1, abs=1e-5)


def test_repeats_are_found_by_content_without_image_ids(sensorium_tree, tmp_path):
    named = open_recording(sensorium_tree(tmp_path / "a" / "mouse"))
    unnamed = open_recording(sensorium_tree(tmp_path / "b" / "mouse", **{"meta/trials/frame_image_id": None}))
    assert unnamed.fingerprint == named.fingerprint


def test_neuron_ids_are_optional(sensorium_tree, tmp_path):
    folder = sensorium_tree(tmp_path / "mouse", **{"meta/neurons/unit_ids": None})
    assert open_recording(folder).neuron_ids[0] == "n000"


@pytest.mark.parametrize(("scale", "offset"), [(1 / 255, 0), (2 / 255, -1), (1, 0)])
def test_the_range_of_the_images_is_recognised(sensorium_tree, tmp_path, scale, offset):
    folder = sensorium_tree(tmp_path / "mouse")
    expected = open_recording(folder).images
    for path in (folder / "data/images").iterdir():
        np.save(path, np.load(path).astype(np.float64) * scale + offset)
    assert np.allclose(open_recording(folder).images, expected, atol=1e-6)


def test_colour_is_averaged(sensorium_tree, tmp_path):
    folder = sensorium_tree(tmp_path / "mouse")
    expected = open_recording(folder).images
    for path in (folder / "data/images").iterdir():
        np.save(path, np.repeat(np.load(path), 3, axis=0))
    assert np.allclose(open_recording(folder).images, expected, atol=1e-6)


def test_withheld_responses_are_not_taken_for_silence(sensorium_tree, tmp_path):
    folder = sensorium_tree(tmp_path / "mouse")
    for trial in range(8, 13):
        np.save(folder / f"data/responses/{trial}.npy", np.zeros(7))
    with pytest.raises(RecordingError, match=r"responses/8\.npy: is zero for all 7 neurons, as in 5 of 5.*withheld"):
        open_recording(folder)


def test_one_withheld_trial_is_noticed_among_many_neurons(sensorium_tree, tmp_path):
    folder = sensorium_tree(tmp_path / "mouse", **{"meta/neurons/unit_ids": None})
    for trial in range(14):
        np.save(folder / f"data/responses/{trial}.npy", np.ones(25) * (trial != 3))
    with pytest.raises(RecordingError, match=r"responses/3\.npy: is zero for all 25 neurons, as in 1 of 8"):
        open_recording(folder)


WRONG = {
    "no test tier": ("meta/trials/tiers", np.array(["train"] * 14), "has no trial of tier test, only train"),
    "tiers as numbers": ("meta/trials/tiers", np.arange(14), r"tiers\.npy: has shape \(14,\) and dtype int64"),
    "too many tiers": ("meta/trials/tiers", np.array(["train", "test"] * 10), r"images/14\.npy: does not exist"),
    "image ids": ("meta/trials/frame_image_id", np.arange(3), r"frame_image_id\.npy: has shape \(3,\)"),
    "same id, other image": ("meta/trials/frame_image_id", np.zeros(14), r"images/9\.npy: differs from 8\.npy"),
    "unit ids": ("meta/neurons/unit_ids", np.arange(3), r"unit_ids\.npy: has shape \(3,\)"),
    "one image of another size": ("data/images/2", np.ones((1, 3, 3)), r"images/2\.npy: has shape \(1, 3, 3\)"),
    "images standardised": ("data/images/2", np.full((1, 36, 64), -3.0), "images: have values from -3 to 255"),
    "NaN pixel": ("data/images/2", np.full((1, 36, 64), np.nan), "images: have values from nan"),
    "negative response": ("data/responses/2", -np.ones(7), "responses: holds 7 negative"),
    "huge response": ("data/responses/2", np.full(7, 1e300), "responses: holds 7 NaN or infinite"),
    "responses as text": ("data/responses/2", np.array(["a"] * 7), r"responses/2\.npy: has shape"),
    "test image in training": ("meta/trials/tiers", np.array(["train"] * 9 + ["test"] * 5), "is also training image"),
}


@pytest.mark.parametrize(("name", "content", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_content_is_refused_and_its_file_named(sensorium_tree, tmp_path, name, content, message):
    folder = sensorium_tree(tmp_path / "mouse", **{name: content})
    with pytest.raises(RecordingError, match=message):
        open_recording(folder)


@pytest.mark.parametrize("name", ["meta/trials/tiers.npy", "data/images/4.npy", "data/responses/9.npy"])
def test_each_missing_or_truncated_file_is_named(sensorium_tree, tmp_path, name):
    folder = sensorium_tree(tmp_path / "mouse")
    (folder / name).write_bytes((folder / name).read_bytes()[:100])
    with pytest.raises(RecordingError, match=rf"{name}: cannot be read"):
        open_recording(folder)
    (folder / name).unlink()
    with pytest.raises(RecordingError, match=rf"{name}: does not exist"):
        open_recording(folder)


ANYTHING = hnp.arrays(
    hnp.scalar_dtypes() | hnp.byte_string_dtypes(max_len=4) | hnp.unicode_string_dtypes(max_len=4),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=14),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    array=ANYTHING,
    name=st.sampled_from(["meta/trials/tiers", "data/images/4", "data/responses/9", "meta/trials/frame_image_id"]),
)
def test_no_array_causes_another_error(sensorium_tree, tmp_path, array, name):
    folder = tmp_path / "mouse"
    if not folder.exists():
        sensorium_tree(folder)
    original = (folder / f"{name}.npy").read_bytes()
    np.save(folder / f"{name}.npy", array)
    try:
        open_recording(folder)
    except RecordingError as error:
        message = str(error)
    else:
        message = "mouse"
    finally:
        (folder / f"{name}.npy").write_bytes(original)
    assert "mouse" in message
