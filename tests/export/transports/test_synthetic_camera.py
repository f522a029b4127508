from __future__ import annotations

import itertools
import threading
import time

import numpy as np
import pytest

from daenr_common.errors import SpecError
from daenr_export.transports.synthetic import SyntheticCamera, gratings


def test_frames_are_captured_on_the_schedule_however_late_they_are_fetched():
    taken = []
    for frame in SyntheticCamera(rate_hz=300, frames=7):
        taken.append(frame)
        time.sleep(0.01)
    assert [frame.id for frame in taken] == list(range(7))
    offsets = [frame.captured_ns - taken[0].captured_ns for frame in taken]
    assert offsets == [round(index * 1e9 / 300) for index in range(7)]


def test_no_frame_comes_before_it_was_captured():
    for frame in SyntheticCamera(rate_hz=200, jitter_ms=3, frames=10):
        assert time.monotonic_ns() >= frame.captured_ns


def test_jitter_delays_the_delivery_not_the_capture():
    delays = []
    for frame in SyntheticCamera(rate_hz=20, jitter_ms=40, frames=12, seed=3):
        delays.append(time.monotonic_ns() - frame.captured_ns)
    expected = np.random.default_rng(3).random(12) * 40e6
    assert all(delay >= late - 1 for delay, late in zip(delays, expected, strict=True))
    assert max(expected) > 20e6


def test_a_stall_holds_back_and_then_gives_what_was_due_meanwhile():
    camera = SyntheticCamera(rate_hz=100, frames=20, stalls={5: 0.1})
    ages = {frame.id: time.monotonic_ns() - frame.captured_ns for frame in camera}
    # Due 10 ms apart and held for 100 ms: nine more fell due meanwhile, each 10 ms younger.
    for frame in range(5, 15):
        assert ages[frame] >= (100 - (frame - 5) * 10) * 1e6


@pytest.mark.parametrize(
    ("length", "count"),
    [({"frames": 4}, 4), ({"seconds": 0.01}, 5), ({"seconds": 0.01, "frames": 2}, 2), ({"frames": 0}, 0)],
)
def test_the_shorter_length_counts(length, count):
    assert len(list(SyntheticCamera(rate_hz=500, **length))) == count


def test_given_images_are_shown_in_turn_and_cannot_be_written_to():
    images = np.arange(3 * 32 * 32, dtype=np.uint8).reshape(3, 1, 32, 32)
    shown = [frame.image for frame in SyntheticCamera(rate_hz=1000, frames=7, images=images)]
    np.testing.assert_array_equal(np.concatenate(shown), images[[0, 1, 2, 0, 1, 2, 0]])
    assert all(image.shape == (1, 1, 32, 32) and image.flags.c_contiguous for image in shown)
    with pytest.raises(ValueError, match="read-only"):
        shown[0][:] = 0


def test_without_images_gratings_are_shown():
    images = gratings(seed=1)
    (frame,) = SyntheticCamera(rate_hz=1, frames=1, seed=1)
    np.testing.assert_array_equal(frame.image, images[:1])
    assert images.dtype == np.float32
    assert 0.3 < np.abs(images).max() <= 1
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)


def test_closing_ends_an_iteration_that_waits():
    with SyntheticCamera(rate_hz=0.001) as camera:
        frames = iter(camera)
        assert next(frames).id == 0
        threading.Timer(0.05, camera.close).start()
        assert list(frames) == []
        assert list(camera) == []


def test_an_endless_camera_does_not_end():
    assert len(list(itertools.islice(SyntheticCamera(rate_hz=5000), 100))) == 100


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"rate_hz": 0}, "rate_hz: is 0;"),
        ({"rate_hz": float("nan")}, "rate_hz: is nan;"),
        ({"jitter_ms": -1}, "jitter_ms: is -1;"),
        ({"seconds": float("inf")}, "seconds: is inf;"),
        ({"frames": -1}, "frames: is -1;"),
        ({"stalls": {1: -2.0}}, "stalls: is -2.0;"),
        ({"images": np.zeros((0, 1, 32, 32), np.float32)}, r"images: has the shape \(0, 1, 32, 32\);"),
        ({"images": np.float32(1)}, r"images: has the shape \(\);"),
    ],
)
def test_what_cannot_be_is_refused(setting, problem):
    with pytest.raises(SpecError, match=problem):
        SyntheticCamera(**{"rate_hz": 100, **setting})
