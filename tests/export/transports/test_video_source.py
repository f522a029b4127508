from __future__ import annotations

import threading
import time
from fractions import Fraction

import numpy as np
import pytest

from daenr_common.errors import SpecError, TransportError
from daenr_export.specs import TensorSpec
from daenr_export.transports.graph_input import GraphInput
from daenr_export.transports.video import VideoSource

av = pytest.importorskip("av")

PIXELS = GraphInput(TensorSpec("image", "uint8", (1, 32, 32)))
LOSSLESS = ("ffv1", "gray", "mkv")


def write(path, frames, codec="ffv1", pixels="gray", rate=100, times=None):
    """Frames `(N, height, width)` uint8 as a video; `times` in hundredths of a second for a rate that varies."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = pixels
        stream.thread_count = 1
        for index, pixels_of_frame in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels_of_frame, format="gray")
            if times is not None:
                frame.pts, frame.time_base = times[index], Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def noise():
    return np.random.default_rng(2).integers(0, 256, (20, 32, 32), np.uint8)


@pytest.fixture
def video(tmp_path, noise):
    return write(tmp_path / "movie.mkv", noise)


def test_frames_are_the_file_s_at_the_file_s_rate(video, noise):
    frames = list(VideoSource(video, PIXELS))
    assert [frame.id for frame in frames] == list(range(20))
    np.testing.assert_array_equal(np.concatenate([frame.image for frame in frames])[:, 0], noise)
    offsets = [frame.captured_ns - frames[0].captured_ns for frame in frames]
    assert offsets == [index * 10_000_000 for index in range(20)]


def test_another_rate_may_be_asked_for_and_the_file_shown_again(video):
    with VideoSource(video, rate_hz=400) as source:
        for _ in range(2):
            frames = []
            for frame in source:
                assert time.monotonic_ns() >= frame.captured_ns
                frames.append(frame)
            assert frames[-1].captured_ns - frames[0].captured_ns == round(19 / 400 * 1e9)
    assert frames[0].image.dtype == np.float32
    assert frames[0].image.shape == (1, 1, 32, 32)


def test_a_rate_that_varies_is_kept(tmp_path, noise):
    path = write(tmp_path / "varying.mkv", noise[:4], times=[5, 6, 9, 10])
    frames = list(VideoSource(path))
    offsets = [round((frame.captured_ns - frames[0].captured_ns) / 1e6) for frame in frames]
    assert offsets == [0, 10, 40, 50]


@pytest.mark.parametrize(
    ("codec", "pixels", "suffix"), [("mpeg4", "yuv420p", "mp4"), ("mjpeg", "yuvj420p", "avi"), ("ffv1", "bgr0", "mkv")]
)
def test_black_and_white_mean_the_same_in_every_format(tmp_path, codec, pixels, suffix):
    grey = np.repeat(np.uint8([0, 50, 128, 200, 255]), 64 * 48).reshape(5, 48, 64)
    path = write(tmp_path / f"grey.{suffix}", grey, codec, pixels, rate=50)
    shown = [int(frame.image.mean()) for frame in VideoSource(path, PIXELS)]
    np.testing.assert_allclose(shown, [0, 50, 128, 200, 255], atol=3)


def test_a_missing_or_foreign_file_is_one_line(tmp_path, video):
    with pytest.raises(TransportError, match=r"nowhere\.mp4: is not there, or is no file; check the path"):
        VideoSource(tmp_path / "nowhere.mp4")
    with pytest.raises(TransportError, match="is not there, or is no file"):
        VideoSource(tmp_path)
    for content in (b"", b"no video " * 1000):
        (tmp_path / "junk.mp4").write_bytes(content)
        with pytest.raises(TransportError, match=r"junk\.mp4: cannot be read as a video \(Invalid data"):
            VideoSource(tmp_path / "junk.mp4")
    with pytest.raises(SpecError, match="rate_hz: is 0"):
        VideoSource(video, rate_hz=0)


def test_a_file_of_sound_is_no_video(tmp_path):
    path = tmp_path / "tone.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(TransportError, match=r"tone\.wav: holds no video"):
        VideoSource(path)


@pytest.mark.parametrize("part", [0.2, 0.5, 0.8])
def test_a_file_that_was_cut_off_does_not_end_as_if_nothing_had_happened(video, part):
    whole = video.read_bytes()
    video.write_bytes(whole[: int(len(whole) * part)])
    frames = []
    with pytest.raises(TransportError, match=r"movie\.mkv: (ends after .* s, and its header says 0\.2 s|cannot be)"):  # noqa: PT012
        for frame in VideoSource(video, rate_hz=2000):
            frames.append(frame)
    assert 0 < len(frames) < 20


def test_a_damaged_file_is_named(tmp_path, noise):
    path = write(tmp_path / "damaged.avi", noise, "mpeg4", "yuv420p")
    content = bytearray(path.read_bytes())
    for start in range(6000, len(content) - 4000, 700):
        content[start : start + 300] = bytes(300)
    path.write_bytes(content)
    with pytest.raises(TransportError, match=r"damaged\.avi: "):
        list(VideoSource(path, rate_hz=2000))


def test_closing_ends_an_iteration_that_waits(video):
    with VideoSource(video, rate_hz=0.001) as source:
        frames = iter(source)
        next(frames)
        threading.Timer(0.1, source.close).start()
        assert list(frames) == []
        assert list(source) == []


def test_an_iteration_that_is_given_up_leaves_nothing_open(video):
    frames = iter(VideoSource(video, rate_hz=2000))
    next(frames)
    del frames
    video.unlink()  # which Windows refuses while a file is open
