"""Transports at both ends of a real loop."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import daenr_export
from daenr_common.errors import TransportError
from daenr_export.loop.frames import Status
from daenr_export.loop.summary import Cause, Ending
from daenr_export.transports.folder import ImageFolder
from daenr_export.transports.graph_input import GraphInput
from daenr_export.transports.zeromq import AnswerPublisher, AnswerReceiver, FrameReceiver, FrameSender

LONG_MS = 20_000
PATIENCE_S = 20


@pytest.fixture
def model(shared_tiny_bundle):
    with daenr_export.load(shared_tiny_bundle) as model:
        yield model


def test_frames_go_round_over_zeromq_and_unfit_ones_are_faults(model):
    pytest.importorskip("zmq")
    source, sink = FrameReceiver("tcp://127.0.0.1:*"), AnswerPublisher("tcp://127.0.0.1:*")
    image = model.golden["image"][:1]
    unfit = {2: image.astype(np.float64), 3: image[..., :16], 4: np.full_like(image, np.nan)}
    answers = {}

    def stimulate():
        with FrameSender(source.endpoint) as sender, AnswerReceiver(sink.endpoint) as receiver:
            assert sender.wait_for_receiver(PATIENCE_S)
            while 0 not in answers:  # until the subscription has arrived
                sender.send(image, id=0)
                if (answer := receiver.receive(0.2)) is not None:
                    answers[answer.frame_id] = answer
            while receiver.receive(0.2) is not None:
                pass
            for number in range(1, 6):
                sender.send(unfit.get(number, image), id=number)
                answers[number] = receiver.receive(PATIENCE_S)
        loop.stop()

    with model.realtime() as session:
        loop = daenr_export.ClosedLoop(session, source, sink, deadline_ms=LONG_MS, policy="fifo")
        stimulus = threading.Thread(target=stimulate)
        stimulus.start()
        summary = loop.run()
        stimulus.join(PATIENCE_S)
    assert summary.ending is Ending.STOPPED
    assert summary.faults == {Cause.IMAGE: 3}
    for number, answer in answers.items():
        assert answer.frame_id == number
        assert answer.status is (Status.FAULT if number in unfit else Status.OK)
        np.testing.assert_array_equal(answer.value, model.responses(image))  # held through the faults
    # The loop has closed both: their ports are free.
    for end in (source, sink):
        FrameReceiver(end.endpoint).close()


def test_a_loop_stops_while_its_receiver_waits(model):
    pytest.importorskip("zmq")
    source = FrameReceiver("tcp://127.0.0.1:*")
    with model.realtime() as session:
        loop = daenr_export.ClosedLoop(session, source, print, deadline_ms=LONG_MS)
        threading.Timer(0.2, loop.stop).start()
        start = time.monotonic()
        assert loop.run().frames == 0
        assert time.monotonic() - start < PATIENCE_S
    with pytest.raises(TransportError, match="was closed"):
        source._socket.send([b""])


def test_a_broken_image_ends_the_loop_with_its_name(model, tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    for number in range(3):
        pillow.fromarray(np.full((40, 40), number, np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "2.png").write_bytes(b"broken")
    source = ImageFolder(tmp_path, GraphInput.of(model), rate_hz=100)
    with model.realtime() as session:
        summary = daenr_export.ClosedLoop(session, source, lambda answer: None, deadline_ms=LONG_MS).run()
    assert summary.ending is Ending.SOURCE_FAILED
    assert summary.frames == 2
    assert "2.png: cannot be read as an image" in summary.problems[Cause.SOURCE]
