from __future__ import annotations

import dataclasses

import pytest

from daenr_common.errors import RecordingError
from daenr_train.data import open_recording, write_npz


@pytest.fixture
def regions(recording, tmp_path):
    for number in (1, 3):
        write_npz(dataclasses.replace(recording, region=f"region{number}"), tmp_path / f"region{number}.npz")
    return tmp_path


@pytest.mark.parametrize("region", [3, "3", "region3"])
def test_a_region_is_chosen_by_number_or_name(regions, region):
    assert open_recording(regions, region).region == "region3"
    assert open_recording(str(regions), region).region == "region3"


def test_a_folder_with_several_regions_asks_which(regions):
    with pytest.raises(RecordingError, match=r"holds 2 regions \(region1, region3\); choose one, e\.g\. --region 1"):
        open_recording(regions)


def test_a_name_may_be_a_number(recording, tmp_path):
    write_npz(dataclasses.replace(recording, region="20457"), tmp_path / "20457.npz")
    assert open_recording(tmp_path, "20457").region == "20457"
    assert open_recording(tmp_path / "20457.npz", 20457).region == "20457"


def test_the_only_region_needs_no_choice(recording, tmp_path):
    write_npz(recording, tmp_path / "mouse.npz")
    assert open_recording(tmp_path).fingerprint == recording.fingerprint


def test_an_absent_region_is_named(regions):
    with pytest.raises(RecordingError, match="holds no region '2', only region1, region3"):
        open_recording(regions, 2)


def test_a_file_of_another_region_is_refused(regions):
    assert open_recording(regions / "region1.npz", 1).region == "region1"
    with pytest.raises(RecordingError, match="holds region1, not 3"):
        open_recording(regions / "region1.npz", 3)


def test_unknown_places_say_what_is_understood(tmp_path):
    with pytest.raises(RecordingError, match=r"nowhere: does not exist; give an \.npz file; .* Antolík .* Sensorium"):
        open_recording(tmp_path / "nowhere")
    with pytest.raises(RecordingError, match=r"no recording that can be recognised; give an \.npz file"):
        open_recording(tmp_path)


def test_a_single_array_is_no_recording(tmp_path, antolik_region):
    folder = antolik_region(tmp_path / "region1")
    with pytest.raises(RecordingError, match=r"training_set\.npy: is a single array, expected an \.npz archive"):
        open_recording(folder / "training_set.npy")
