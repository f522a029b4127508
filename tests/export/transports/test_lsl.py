"""Responses and frames over real LSL streams on this computer."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import uuid

import numpy as np
import pytest

from daenr_common.errors import SpecError, TransportError
from daenr_export.loop.frames import Answer, Status
from daenr_export.specs import TensorSpec
from daenr_export.transports.lsl import FrameInlet, LslClock, ResponseOutlet

PATIENCE_S = 20
SMALL = TensorSpec("image", "float32", (1, 2, 3))
PIXELS = TensorSpec("image", "uint8", (1, 2, 3))


@pytest.fixture
def pylsl(lsl_on_this_computer):
    return lsl_on_this_computer


@pytest.fixture
def name():
    return f"test {uuid.uuid4()}"


@pytest.fixture
def outlet_of_frames(pylsl, name):
    """A stream as a camera program would make it."""

    def make(channels=6, kind="float32"):
        return pylsl.StreamOutlet(pylsl.StreamInfo(name, "Frames", channels, 0, kind, name))

    return make


def wait_for_consumer(outlet):
    end = time.monotonic() + PATIENCE_S
    while not outlet.have_consumers():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_responses_arrive_with_the_ids_of_their_neurons_and_the_time_of_their_frame(pylsl, name):
    with ResponseOutlet(["n7", "n8", "n<9>"], name=name) as outlet:
        (found,) = pylsl.resolve_byprop("name", name, 1, PATIENCE_S)
        inlet = pylsl.StreamInlet(found)
        assert inlet.info(PATIENCE_S).get_channel_labels() == ["n7", "n8", "n<9>", "frame_id", "status"]
        inlet.open_stream(PATIENCE_S)
        captured_ns, now_s = time.monotonic_ns() - 5_000_000, pylsl.local_clock()
        outlet(Answer(2**40 + 1, captured_ns, np.float32([[0.5, 1.5, 2.0]]), Status.OK))
        outlet(Answer(4, captured_ns, (np.float32([[3, 2, 1]]), np.zeros((1, 1, 32, 32))), Status.LATE))
        outlet(Answer(5, captured_ns, None, Status.FAULT))
        sample, stamp_s = inlet.pull_sample(PATIENCE_S)
        assert sample == [0.5, 1.5, 2.0, 2**40 + 1, Status.OK]
        assert abs(stamp_s - (now_s - 0.005)) < 0.5
        assert stamp_s < now_s
        assert inlet.pull_sample(PATIENCE_S)[0] == [3, 2, 1, 4, Status.LATE]
        np.testing.assert_array_equal(inlet.pull_sample(PATIENCE_S)[0], [np.nan] * 3 + [5, Status.FAULT])


def test_an_answer_of_another_size_is_refused_and_a_closed_outlet_says_so(pylsl, name):
    outlet = ResponseOutlet(["1", "2"], name=name)
    with pytest.raises(SpecError, match="answer: has 3 values, and the stream 2 neurons"):
        outlet(Answer(0, 0, np.zeros((1, 3)), Status.OK))
    outlet.close()
    outlet.close()
    with pytest.raises(TransportError, match=f"LSL stream {name}: was closed"):
        outlet(Answer(0, 0, np.zeros((1, 2)), Status.OK))
    with pytest.raises(SpecError, match="neuron_ids: is empty"):
        ResponseOutlet([])


@pytest.mark.parametrize("kind", ["float32", "double64"])
def test_frames_arrive_with_the_time_of_their_sample(pylsl, name, outlet_of_frames, kind):
    outlet = outlet_of_frames(kind=kind)
    with FrameInlet(name, SMALL, timeout_s=PATIENCE_S) as source:
        wait_for_consumer(outlet)
        captured_ns = time.monotonic_ns()
        outlet.push_sample([-1, -0.5, 0, 0.25, 0.5, 1], pylsl.local_clock())
        outlet.push_sample([1] * 6, pylsl.local_clock() - 3)
        frames = iter(source)
        first, second = next(frames), next(frames)
    assert (first.id, second.id) == (0, 1)
    np.testing.assert_array_equal(first.image, np.float32([[[[-1, -0.5, 0], [0.25, 0.5, 1]]]]), strict=True)
    assert abs(first.captured_ns - captured_ns) < 0.5e9
    assert abs(first.captured_ns - second.captured_ns - 3e9) < 0.5e9


def test_whole_numbers_are_pixels_and_what_is_none_is_left_to_the_loop(name, outlet_of_frames):
    outlet = outlet_of_frames(kind="int16")
    with FrameInlet(name, PIXELS, timeout_s=PATIENCE_S) as source:
        wait_for_consumer(outlet)
        outlet.push_sample([0, 1, 2, 3, 254, 255])
        outlet.push_sample([0, 1, 2, 3, 4, 256])
        frames = iter(source)
        good, bad = next(frames).image, next(frames).image
    np.testing.assert_array_equal(good, np.uint8([[[[0, 1, 2], [3, 254, 255]]]]), strict=True)
    assert bad.dtype == np.int16


def test_a_stream_that_does_not_fit_is_refused(name, outlet_of_frames):
    outlet = outlet_of_frames()
    assert outlet is not None
    with pytest.raises(TransportError, match=f"{name}: has 6 channels, and the graph takes 1024 pixels"):
        FrameInlet(name, timeout_s=PATIENCE_S)
    with pytest.raises(TransportError, match=r"is of float32, and the graph takes uint8; send one of int8, int16"):
        FrameInlet(name, PIXELS, timeout_s=PATIENCE_S)


def test_a_stream_that_is_not_there_is_one_line(pylsl, name):
    with pytest.raises(TransportError, match=f"LSL stream {name}: was not found within 0.3 s; start its program"):
        FrameInlet(name, timeout_s=0.3)


def test_closing_ends_an_iteration_that_waits(name, outlet_of_frames):
    outlet = outlet_of_frames()
    with FrameInlet(name, SMALL, timeout_s=PATIENCE_S) as source:
        wait_for_consumer(outlet)
        timer = threading.Timer(0.2, source.close)
        timer.start()
        assert list(source) == []
        timer.join()
        assert list(source) == []


def test_the_clocks_are_brought_together(pylsl):
    clock = LslClock(pylsl)
    for _ in range(20):
        before_ns = time.monotonic_ns()
        between_s = pylsl.local_clock()
        after_ns = time.monotonic_ns()
        # The offset is that of one reading of the clocks, whose own duration is its uncertainty.
        assert before_ns - 1e5 <= clock.to_monotonic_ns(between_s) <= after_ns + 1e5
        assert abs(clock.to_monotonic_ns(clock.to_lsl(before_ns)) - before_ns) < 1e3


def test_an_offset_is_measured_and_measured_again(monkeypatch):
    class Shifted:
        shift_s = 1000.0

        def local_clock(self):
            return time.monotonic() + self.shift_s

    shifted = Shifted()
    clock = LslClock(shifted)
    assert abs(clock.to_lsl(0) - 1000) < 0.1
    shifted.shift_s = 2000.0
    now_ns = time.monotonic_ns()
    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns + 11 * 10**9)
    monkeypatch.setattr(time, "monotonic", lambda: now_ns / 1e9 + 11)
    assert abs(clock.to_lsl(0) - 2000) < 0.1


def test_a_missing_library_is_one_line_that_says_where_to_get_it(pylsl, tmp_path):
    broken = tmp_path / "liblsl.so"
    broken.write_bytes(b"no library")
    script = (
        "from daenr_export.transports.lsl import ResponseOutlet as R\ntry: R(['1'])\nexcept Exception as e: print(e)"
    )
    environment = os.environ | {"PYLSL_LIB": str(broken)}
    result = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    (line,) = result.stdout.splitlines()
    assert line.startswith("pylsl: finds no library liblsl (liblsl library ")
    assert "conda install -c conda-forge liblsl, or set PYLSL_LIB" in line
