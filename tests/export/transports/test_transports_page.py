"""The page on transports is true: its programs run as written, and its messages are those that are sent."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pytest

from daenr_export.loop.frames import Answer, Status
from daenr_export.transports.zeromq_messages import pack_answer, pack_frame

PAGE = (Path(__file__).parents[3] / "docs" / "transports.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
PATIENCE_S = 60
NEURONS = 5  # of the small bundle


def block(language, marker):
    (found,) = [text for kind, text in BLOCKS if kind == language and marker in text]
    return found


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def folder(tiny_bundle, tmp_path):
    tiny_bundle.rename(tmp_path / "cae_fr2.daenr")
    return tmp_path


@pytest.fixture
def ports():
    """The ports of the page, replaced by free ones: tests run side by side."""
    return {"5555": str(free_port()), "5556": str(free_port())}


def program(script, ports=()):
    # On a busy machine nothing is in time; what is said of time here is not what is tested.
    script = script.replace("deadline_ms=8", "deadline_ms=20_000").replace("timeout_s=0.1", "timeout_s=2")
    for old, new in dict(ports).items():
        script = script.replace(old, new)
    return [sys.executable, "-W", "error", "-c", script]


@contextlib.contextmanager
def running(command, folder, **environment):
    """A program that is stopped as a user would, with what it printed until then."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"} | environment
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


def finish(command, folder):
    with running(command, folder) as process:
        output, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
        return output


def interrupt(process):
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert "SIGINT" in output
    return output


def test_the_synthetic_camera(folder):
    output = finish(program(block("python", "SyntheticCamera(").replace("seconds=3", "seconds=0.3")), folder)
    assert "the source ended" in output
    assert "30 frames" in output


def test_a_rig_and_two_stimulus_programs_over_zeromq(folder, ports):
    pytest.importorskip("zmq")
    stimulus = block("python", "FrameSender(") + "    print(sent, answer.status.name, answer.value.shape)\n"
    with running(program(block("python", "FrameReceiver("), ports), folder) as rig:
        sent, _status, shape = finish(program(stimulus, ports), folder).split(maxsplit=2)
        assert (sent, shape.strip()) == ("True", f"(1, {NEURONS})")
        printed = finish(program(block("python", "import json, time, zmq"), ports), folder)
        assert "'id': 17" in printed
        assert printed.strip().endswith(f"[{4 * NEURONS}]")
        interrupt(rig)


def test_the_messages_are_those_of_the_page():
    for text in re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL):
        header = json.loads(text)
        if "arrays" in header:
            answer = Answer(header["id"], header["captured_ns"], np.zeros((1, 102), np.float32), Status.OK)
            assert json.loads(pack_answer(answer)[0]) == header
        else:
            image = np.zeros((32, 32), np.float32)
            assert json.loads(pack_frame(header["id"], image, header["captured_ns"])[0]) == header


def test_lab_streaming_layer(folder, lsl_on_this_computer):
    pylsl = lsl_on_this_computer
    camera, responses = f"camera {uuid.uuid4()}", f"responses {uuid.uuid4()}"
    script = block("python", "FrameInlet(").replace('"camera"', f'"{camera}"').replace("V1 responses", responses)
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(camera, "Frames", 1024, 0, "float32", camera))
    with running(program(script), folder) as rig:
        (found,) = pylsl.resolve_byprop("name", responses, 1, PATIENCE_S)
        inlet = pylsl.StreamInlet(found)
        assert len(inlet.info(PATIENCE_S).get_channel_labels()) == NEURONS + 2
        inlet.open_stream(PATIENCE_S)
        end = time.monotonic() + PATIENCE_S
        sample = None
        while sample is None:
            outlet.push_sample([0.0] * 1024)
            sample, _stamp = inlet.pull_sample(0.1)
            assert time.monotonic() < end
        assert len(sample) == NEURONS + 2
        interrupt(rig)


def test_video_and_folder(folder):
    av, pillow = pytest.importorskip("av"), pytest.importorskip("PIL.Image")
    (folder / "stimuli").mkdir()
    with av.open(str(folder / "movie.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=50)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "gray"
        for value in range(10):
            pixels = np.full((48, 64), value, np.uint8)
            pillow.fromarray(pixels).save(folder / "stimuli" / f"{value}.png")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="gray")))
        container.mux(stream.encode(None))
    for marker in ("VideoSource(", "ImageFolder("):
        output = finish(program(block("python", marker)), folder)
        assert "the source ended" in output
        assert "10 frames" in output


def test_links_lead_somewhere():
    headings = {
        re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-") for line in re.findall(r"^#+ (.*)", PAGE, re.M)
    }
    for anchor in re.findall(r"\]\(#([^)]+)\)", PAGE):
        assert anchor in headings
