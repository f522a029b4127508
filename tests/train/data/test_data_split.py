from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daenr_common.errors import RecordingError, SpecError
from daenr_train.data import Recording, split


def with_repeated_images(copies: list[int]) -> Recording:
    """A recording that shows image i `copies[i]` times in training."""
    pictures = np.linspace(-1, 0.9, len(copies), dtype=np.float32)
    images = np.repeat(pictures, copies)[:, None, None, None] * np.ones((1, 1, 32, 32), np.float32)
    return Recording(
        images=images,
        responses=np.ones((len(images), 1), np.float32),
        test_images=np.ones((1, 1, 32, 32), np.float32),
        test_responses=np.ones((2, 1, 1), np.float32),
        neuron_ids=("n",),
        region="r",
    )


@settings(max_examples=40, deadline=None)
@given(
    copies=st.lists(st.integers(1, 4), min_size=2, max_size=15),
    fraction=st.floats(0.05, 0.95),
    seed=st.integers(0, 1000),
)
def test_rows_are_divided_and_no_image_is_on_both_sides(copies, fraction, seed):
    recording = with_repeated_images(copies)
    train, validation = (
        getattr(split(recording, fraction, seed), side) for side in ("train_indices", "validation_indices")
    )
    assert sorted([*train, *validation]) == list(range(recording.n_images))
    assert len(train) > 0
    assert len(validation) > 0
    levels = recording.images[:, 0, 0, 0]
    assert not set(levels[train]) & set(levels[validation])


def test_the_wanted_share_is_kept_aside():
    recording = with_repeated_images([1] * 200)
    assert len(split(recording).validation_indices) == 40
    assert len(split(recording, 0.5).validation_indices) == 100


def test_the_same_seed_divides_alike_and_another_does_not(recording):
    first, again, other = split(recording, seed=3), split(recording, seed=3), split(recording, seed=4)
    assert np.array_equal(first.validation_indices, again.validation_indices)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    changed = dataclasses.replace(recording, region="other")
    assert split(changed, seed=3).fingerprint != first.fingerprint


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_a_fraction_that_leaves_a_side_empty_is_refused(recording, fraction):
    with pytest.raises(SpecError, match="strictly between 0 and 1"):
        split(recording, fraction)


def test_a_negative_seed_is_refused(recording):
    with pytest.raises(SpecError, match="seed: is -1"):
        split(recording, seed=-1)


def test_one_image_cannot_be_divided():
    with pytest.raises(RecordingError, match="only one different training image"):
        split(with_repeated_images([5]))
