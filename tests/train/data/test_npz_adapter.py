from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from daenr_common.errors import OutputExistsError, RecordingError
from daenr_train.data import Recording, open_recording, write_npz


def test_a_recording_survives_the_round_trip(recording, tmp_path):
    path = write_npz(recording, tmp_path / "mouse.npz")
    again = open_recording(path)
    assert again.fingerprint == recording.fingerprint
    assert again.source == str(path)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), n_images=st.integers(1, 3), n_neurons=st.integers(1, 4), n_repeats=st.integers(1, 3))
def test_any_valid_content_survives_the_round_trip(tmp_path, data, n_images, n_neurons, n_repeats):
    pixels = hnp.arrays(np.float32, (n_images, 1, 32, 32), elements=st.floats(-1, 0.5, width=32), fill=st.just(0))
    rates = st.floats(0, 2.0**100, width=32)
    ids = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=5)
    recording = Recording(
        images=data.draw(pixels),
        responses=data.draw(hnp.arrays(np.float32, (n_images, n_neurons), elements=rates)),
        test_images=np.ones((1, 1, 32, 32), np.float32),
        test_responses=np.concatenate(
            [
                np.ones((1, 1, n_neurons), np.float32),
                data.draw(hnp.arrays(np.float32, (n_repeats, 1, n_neurons), elements=rates | st.just(np.nan))),
            ]
        ),
        neuron_ids=tuple(data.draw(st.lists(ids, min_size=n_neurons, max_size=n_neurons, unique=True))),
        region=data.draw(ids),
        true_test_rates=data.draw(st.none() | hnp.arrays(np.float32, (1, n_neurons), elements=rates)),
    )
    again = open_recording(write_npz(recording, tmp_path / "any.npz", force=True))
    assert again.fingerprint == recording.fingerprint
    assert (again.neuron_ids, again.region) == (recording.neuron_ids, recording.region)


def test_writing_twice_gives_the_same_bytes(recording, tmp_path):
    first, second = (write_npz(recording, tmp_path / f"{name}.npz").read_bytes() for name in "ab")
    assert first == second


def test_a_file_is_not_replaced_unless_asked(recording, tmp_path):
    path = write_npz(recording, tmp_path / "mouse.npz")
    with pytest.raises(OutputExistsError):
        write_npz(recording, path)
    write_npz(recording, path, force=True)


def arrays_of(fields):
    return {name: fields[name] for name in ("images", "responses", "test_images", "test_responses")}


def test_ids_and_region_have_defaults(fields, tmp_path):
    np.savez(tmp_path / "mouse7.npz", **arrays_of(fields))
    recording = open_recording(tmp_path / "mouse7.npz")
    assert recording.neuron_ids == ("n000", "n001", "n002", "n003", "n004")
    assert recording.region == "mouse7"


def test_numbers_serve_as_neuron_ids(fields, tmp_path):
    np.savez(tmp_path / "m.npz", **arrays_of(fields), neuron_ids=np.arange(10, 15))
    assert open_recording(tmp_path / "m.npz").neuron_ids == ("10", "11", "12", "13", "14")


WRONG_MEMBERS = {
    "missing": ({"test_images": None}, "lacks test_images; it holds images, responses, test_responses"),
    "objects": ({"neuron_ids": np.array([1, None], dtype=object)}, "cannot be read as numpy data"),
    "float ids": ({"neuron_ids": np.arange(5.0)}, r"neuron_ids: has shape \(5,\) and dtype float64"),
    "flat responses": ({"responses": np.ones(12, np.float32)}, r"responses: has shape \(12,\)"),
    "region": ({"region": np.array(["a", "b"])}, "region: has shape"),
    "negative": ({"responses": -np.ones((12, 5))}, r"m\.npz: responses: holds 60 negative"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG_MEMBERS.values(), ids=WRONG_MEMBERS.keys())
def test_wrong_members_are_named_with_the_file(fields, tmp_path, changes, message):
    members = {name: array for name, array in (arrays_of(fields) | changes).items() if array is not None}
    np.savez(tmp_path / "m.npz", **members)
    with pytest.raises(RecordingError, match=message) as caught:
        open_recording(tmp_path / "m.npz")
    assert "m.npz" in str(caught.value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), magic=st.sampled_from([b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"\x80\x04"]))
def test_no_bytes_cause_another_error(tmp_path, content, magic):
    path = tmp_path / "foreign.npz"
    path.write_bytes(magic + content)
    with pytest.raises(RecordingError, match=r"foreign\.npz"):
        open_recording(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_noticed_or_harmless(recording, tmp_path, data):
    whole = write_npz(recording, tmp_path / "mouse.npz", force=True).read_bytes()
    path = tmp_path / "damaged.npz"
    if data.draw(st.booleans()):
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    else:
        position = data.draw(st.integers(0, len(whole) - 1))
        path.write_bytes(
            whole[:position] + bytes([whole[position] ^ data.draw(st.integers(1, 255))]) + whole[position + 1 :]
        )
    try:
        again = open_recording(path)
    except RecordingError as error:
        message = str(error)
    else:
        message = ""
        assert np.array_equal(again.responses, recording.responses)
    assert not message or "damaged.npz" in message
