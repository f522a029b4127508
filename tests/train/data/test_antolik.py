from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.extra import numpy as hnp

from daenr_common.errors import RecordingError
from daenr_train import metrics
from daenr_train.data import antolik, open_recording
from daenr_train.data.antolik import check_training_inputs, git_blob_id, read_antolik, read_test_set

REPOSITORY = Path(__file__).parents[3]
RECORDED = Path(os.environ.get("DAENR_ANTOLIK", REPOSITORY.parent / "shared" / "antolik"))

needs_recordings = pytest.mark.skipif(
    not (RECORDED / "region1" / antolik.TEST_REPEATS).is_file(),
    reason="the recordings of Antolík et al. 2016 are not here (set DAENR_ANTOLIK to their folder)",
)


@needs_recordings
@pytest.mark.parametrize(("region", "shape"), [(1, (10, 50, 103)), (2, (8, 50, 55))])
def test_the_published_test_sets_are_read(region, shape):
    folder = RECORDED / f"region{region}"
    test = read_test_set(folder)
    assert test.responses.shape == shape
    assert test.images.shape == (50, 1, 32, 32)
    assert test.images.min() >= -1
    assert test.images.max() <= 1
    average = np.load(folder / antolik.TEST_AVERAGE)
    assert np.allclose(test.responses.mean(axis=0), average, rtol=1e-5, atol=1e-6)
    grey = np.load(folder / antolik.TEST_INPUTS).mean(axis=1) * 1e6
    assert np.allclose(test.images.mean(axis=(1, 2, 3)), grey / 127.5 - 1, atol=1e-5)


@needs_recordings
def test_regions_1_and_2_share_their_test_images():
    first, second = (read_test_set(RECORDED / f"region{region}").images for region in (1, 2))
    assert np.array_equal(first, second)


PUBLISHED_CEILINGS = [
    # region, CCmax mean, median, noise power, oracle: jackknife over all trials, per repeat, conservative;
    # FEV median, FEV ≥ .15, SP ≤ 0
    (1, 0.808, 0.862, 0.759, 0.388, 0.400, 0.547, 0.22, 68, 1),
    (2, 0.697, 0.793, 0.818, 0.296, 0.329, 0.518, 0.17, 28, 3),
]


@needs_recordings
@pytest.mark.parametrize(
    ("region", "ceiling", "median", "noise", "jackknife", "per_repeat", "conservative", "fev", "n_kept", "n_no_signal"),
    PUBLISHED_CEILINGS,
)
def test_the_ceilings_are_those_known(
    region, ceiling, median, noise, jackknife, per_repeat, conservative, fev, n_kept, n_no_signal
):
    responses = read_test_set(RECORDED / f"region{region}").responses
    assert metrics.cc_max(responses).mean() == pytest.approx(ceiling, abs=6e-4)
    assert np.median(metrics.cc_max(responses)) == pytest.approx(median, abs=6e-4)
    assert metrics.normalised_noise_power(responses).mean() == pytest.approx(noise, abs=6e-4)
    assert metrics.oracle_jackknife(responses).mean() == pytest.approx(jackknife, abs=6e-4)
    assert metrics.oracle_jackknife_per_repeat(responses).mean() == pytest.approx(per_repeat, abs=6e-4)
    assert metrics.oracle_conservative(responses).mean() == pytest.approx(conservative, abs=6e-4)
    assert np.median(metrics.fraction_explainable(responses)) == pytest.approx(fev, abs=6e-3)
    assert (metrics.fraction_explainable(responses) >= 0.15).sum() == n_kept
    assert (metrics.fraction_explainable(responses) < 0).sum() == n_no_signal
    assert (metrics.signal_power(responses) <= 0).sum() == n_no_signal


@needs_recordings
@pytest.mark.parametrize(("region", "size"), [(1, "13,838,480"), (2, "9,686,960")])
def test_the_absent_training_images_are_named_with_size_and_blob_id(region, size):
    published = antolik.TRAINING_INPUTS[f"region{region}"].blob_id
    with pytest.raises(
        RecordingError, match=rf"region{region}/training_inputs\.npy: is missing \({size} .* {published}"
    ):
        open_recording(RECORDED, region)


def test_a_complete_tree_is_opened(antolik_region, tmp_path):
    for region in (1, 2):
        antolik_region(tmp_path / f"region{region}", n_images=20, n_neurons=5 + region, seed=region)
    recording = open_recording(tmp_path, region=2)
    assert recording.region == "region2"
    assert recording.images.shape == (20, 1, 32, 32)
    assert recording.test_responses.shape == (4, 5, 7)
    assert np.array_equal(recording.responses, np.load(tmp_path / "region2/training_set.npy").astype(np.float32))
    assert recording.neuron_ids[:2] == ("region2-n000", "region2-n001")
    assert open_recording(tmp_path / "region2").fingerprint == recording.fingerprint


def test_only_the_published_files_are_the_published_region(antolik_region, tmp_path, monkeypatch):
    folder = antolik_region(tmp_path / "region1")
    assert not antolik.is_published(folder)
    ids = {path.name: git_blob_id(path) for path in folder.glob("*.npy")}
    inputs = {"region1": antolik.PublishedFile(0, ids[antolik.INPUTS])}
    monkeypatch.setattr(antolik, "TRAINING_INPUTS", inputs)
    assert not antolik.is_published(folder)  # the images, but with other responses
    monkeypatch.setattr(antolik, "RECORDED", {"region1": {name: ids[name] for name in antolik.RECORDED["region1"]}})
    assert antolik.is_published(folder)
    assert not antolik.is_published(folder.rename(tmp_path / "region2"))
    assert not antolik.is_published(tmp_path / "absent")


@needs_recordings
@pytest.mark.parametrize("region", [1, 2])
def test_the_recorded_files_have_their_blob_ids(region):
    for name, blob_id in antolik.RECORDED[f"region{region}"].items():
        assert git_blob_id(RECORDED / f"region{region}" / name) == blob_id
    assert not antolik.is_published(RECORDED / f"region{region}")  # without its training images


def test_black_and_white_become_minus_one_and_one(antolik_region, tmp_path):
    folder = antolik_region(tmp_path / "region1")
    inputs = np.stack([np.zeros(961), np.full(961, 255e-6), *np.load(folder / antolik.INPUTS)[2:]])
    np.save(folder / antolik.INPUTS, inputs)
    images = read_antolik(folder).images
    assert (images[0] == -1).all()
    assert (images[1] == 1).all()


@pytest.mark.parametrize(
    "name", [antolik.RESPONSES, antolik.TEST_INPUTS, antolik.TEST_AVERAGE, antolik.TEST_REPEATS, antolik.INPUTS]
)
def test_each_missing_or_truncated_file_is_named(antolik_region, tmp_path, name):
    folder = antolik_region(tmp_path / "region1")
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(RecordingError, match=rf"{name}: cannot be read"):
        read_antolik(folder)
    (folder / name).unlink()
    with pytest.raises(RecordingError, match=name):
        read_antolik(folder)


WRONG = {
    "rescaled": (antolik.INPUTS, lambda a: a * 1e6, r"training_inputs\.npy: has values .* grey level"),
    "NaN pixel": (antolik.INPUTS, lambda a: a * np.nan, "values from nan to nan"),
    "not flat": (antolik.INPUTS, lambda a: a.reshape(-1, 31, 31), r"shape \(20, 31, 31\), expected \(images, 961\)"),
    "whole numbers": (antolik.TEST_INPUTS, lambda a: (a * 1e6).astype(int), r"validation_inputs\.npy: has dtype int64"),
    "fewer rows": (antolik.RESPONSES, lambda a: a[:9], r"training_set\.npy: covers 9 images, but the images are 20"),
    "fewer neurons": (antolik.RESPONSES, lambda a: a[:, :3], r"training_set\.npy: covers 3 neurons"),
    "negative": (antolik.RESPONSES, lambda a: -a, r"training_set\.npy: holds .* negative"),
    "other average": (antolik.TEST_AVERAGE, lambda a: a + 0.1, "is not the average of raw_validation_set"),
    "averaged": (antolik.TEST_REPEATS, lambda a: a.mean(0), r"raw_validation_set\.npy: has shape \(5, 6\)"),
    "other images": (antolik.TEST_INPUTS, lambda a: a[:2], "covers 5 images, but validation_inputs.npy holds 2"),
}


@pytest.mark.parametrize(("name", "spoil", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_content_is_refused_and_its_file_named(antolik_region, tmp_path, name, spoil, message):
    folder = antolik_region(tmp_path / "region1")
    np.save(folder / name, spoil(np.load(folder / name)))
    with pytest.raises(RecordingError, match=message):
        read_antolik(folder)


def test_a_test_image_among_the_training_images_is_refused(antolik_region, tmp_path):
    folder = antolik_region(tmp_path / "region1")
    inputs = np.load(folder / antolik.INPUTS)
    inputs[4] = np.load(folder / antolik.TEST_INPUTS)[1]
    np.save(folder / antolik.INPUTS, inputs)
    with pytest.raises(RecordingError, match=r"validation_inputs\.npy: test image 1 is also training image 4"):
        read_antolik(folder)


def test_the_blob_id_is_that_of_git(tmp_path):
    (tmp_path / "hello").write_bytes(b"hello\n")
    assert git_blob_id(tmp_path / "hello") == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object


def test_only_the_published_file_is_verified(antolik_region, tmp_path, monkeypatch):
    folder = antolik_region(tmp_path / "region1")
    check_training_inputs(folder, published=False)
    with pytest.raises(RecordingError, match=r"git blob id .* expected the published file \(13,838,480 bytes"):
        read_antolik(folder, verify=True)
    path = folder / antolik.INPUTS
    this = antolik.PublishedFile(path.stat().st_size, git_blob_id(path))
    monkeypatch.setitem(antolik.TRAINING_INPUTS, "region1", this)
    assert read_antolik(folder, verify=True).n_images == 20


def test_the_file_of_another_region_is_refused(antolik_region, tmp_path, monkeypatch):
    folder = antolik_region(tmp_path / "region1")
    path = folder / antolik.INPUTS
    monkeypatch.setitem(
        antolik.TRAINING_INPUTS, "region3", antolik.PublishedFile(path.stat().st_size, git_blob_id(path))
    )
    with pytest.raises(RecordingError, match="is the published file of region3"):
        read_antolik(folder)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(array=hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6)))
def test_no_array_causes_another_error(tmp_path, antolik_region, array):
    folder = tmp_path / "region1"
    if not folder.exists():
        antolik_region(folder)
    for name in (antolik.INPUTS, antolik.RESPONSES, antolik.TEST_AVERAGE, antolik.TEST_REPEATS):
        original = (folder / name).read_bytes()
        np.save(folder / name, array)
        with pytest.raises(RecordingError, match=name):
            read_antolik(folder)
        (folder / name).write_bytes(original)
