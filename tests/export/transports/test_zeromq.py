"""Frames and answers over real sockets on loop-back."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from daenr_common.errors import SpecError, TransportError
from daenr_export.loop.frames import Answer, Status
from daenr_export.transports.zeromq import AnswerPublisher, AnswerReceiver, FrameReceiver, FrameSender

zmq = pytest.importorskip("zmq")

ANY_PORT = "tcp://127.0.0.1:*"
PATIENCE_S = 20
IMAGE = np.arange(1024, dtype=np.uint8).reshape(1, 1, 32, 32)


@pytest.fixture
def receiver():
    with FrameReceiver(ANY_PORT) as receiver:
        yield receiver


@pytest.fixture
def sender(receiver):
    with FrameSender(receiver.endpoint) as sender:
        assert sender.wait_for_receiver(PATIENCE_S)
        yield sender


@contextlib.contextmanager
def raw_socket(kind, endpoint):
    """What a program in another language would have."""
    with zmq.Context() as context, context.socket(kind) as socket:
        socket.linger = 0
        socket.sndtimeo = socket.rcvtimeo = PATIENCE_S * 1000
        socket.connect(endpoint)
        yield socket


def in_a_moment(call):
    timer = threading.Timer(0.2, call)
    timer.start()
    return timer


def test_frames_arrive_with_their_number_and_time(receiver, sender):
    frames = iter(receiver)
    assert sender.send(IMAGE)
    first = next(frames)
    assert sender.send(IMAGE[0, 0], id=np.int64(41), captured_ns=first.captured_ns)
    second = next(frames)
    assert sender.send(IMAGE)
    assert [first.id, second.id, next(frames).id] == [0, 41, 42]
    assert first.captured_ns == second.captured_ns <= time.monotonic_ns()
    for frame in (first, second):
        np.testing.assert_array_equal(frame.image, IMAGE, strict=True)
    assert (receiver.received.messages, receiver.received.timed_on_arrival) == (3, 0)


def test_a_frame_without_a_time_counts_from_its_arrival_and_that_is_said_once(receiver, caplog):
    header = json.dumps({"daenr": 1, "id": 3, "dtype": "uint8", "shape": [32, 32]}).encode()
    frames = iter(receiver)
    with raw_socket(zmq.PUSH, receiver.endpoint) as socket:
        for _ in range(2):
            sent_ns = time.monotonic_ns()
            socket.send_multipart([header, IMAGE.tobytes()])
            assert sent_ns <= next(frames).captured_ns <= time.monotonic_ns()
    assert receiver.received.timed_on_arrival == 2
    assert [record.message for record in caplog.records] == [
        f"{receiver.endpoint}: frames count as taken when they arrive: no capture time of this clock"
    ]


def test_malformed_messages_are_counted_and_passed_over(receiver, sender, caplog):
    frames = iter(receiver)
    with raw_socket(zmq.PUSH, receiver.endpoint) as socket:
        for parts in ([b""], [b"{}", b""], [b"\x80", b"x"], [b"{}"] * 200):
            socket.send_multipart(parts)
        # The two senders are taken in turn: the frame may come first.
        while receiver.received.malformed < 4:
            sender.send(IMAGE)
            assert next(frames).image.shape == (1, 1, 32, 32)
    assert receiver.received.last_problem
    assert len(caplog.records) == 1
    assert "skipped a message: it has 1 parts, expected 2" in caplog.text


def test_a_sender_of_too_much_is_cut_off_and_others_go_on():
    with FrameReceiver(ANY_PORT, max_bytes=2048) as receiver, FrameSender(receiver.endpoint) as sender:
        assert sender.wait_for_receiver(PATIENCE_S)
        with raw_socket(zmq.PUSH, receiver.endpoint) as socket:
            socket.send_multipart([b"{}", bytes(2**24)])
        frames = iter(receiver)
        assert sender.send(IMAGE)
        assert next(frames).id == 0
        assert receiver.received.malformed == 0


def test_nothing_backs_up_while_nobody_reads(receiver, sender):
    accepted = 0
    while sender.send(IMAGE):  # one of a thousand bytes each time, into queues of four and the kernel's 64 KiB
        accepted += 1
        assert accepted < 2000
    # It goes on where there is room again.
    frames = iter(receiver)
    assert [next(frames).id for _ in range(accepted)] == list(range(accepted))
    assert sender.wait_for_receiver(PATIENCE_S)
    assert sender.send(IMAGE)
    assert next(frames).id > accepted


def test_without_a_receiver_a_frame_is_dropped_and_not_kept_for_later():
    with FrameReceiver(ANY_PORT) as receiver:
        endpoint = receiver.endpoint
    with FrameSender(endpoint) as sender:
        assert not sender.wait_for_receiver(0.05)
        assert not sender.send(IMAGE)
        with FrameReceiver(endpoint) as receiver:
            assert sender.wait_for_receiver(PATIENCE_S)
            assert sender.send(IMAGE)
            assert next(iter(receiver)).id == 1


def test_closing_ends_an_iteration_that_waits(receiver):
    timer = in_a_moment(receiver.close)
    assert list(receiver) == []
    timer.join()
    assert list(receiver) == []
    with FrameReceiver(receiver.endpoint):
        pass  # the port is free again


def test_closing_from_several_threads_at_once():
    for _ in range(20):
        receiver = FrameReceiver(ANY_PORT)
        threads = [threading.Thread(target=list, args=[receiver]) for _ in range(2)]
        threads += [threading.Thread(target=receiver.close) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


def test_a_closed_end_says_so(receiver, sender):
    sender.close()
    with pytest.raises(TransportError, match="was closed; open it again"):
        sender.send(IMAGE)
    publisher = AnswerPublisher(ANY_PORT)
    publisher.close()
    with pytest.raises(TransportError, match=r"tcp://127\.0\.0\.1:\d+: was closed"):
        publisher(Answer(0, 0, None, Status.OK))


def subscribed(publisher, receiver):
    """Publish until the subscription has arrived."""
    end = time.monotonic() + PATIENCE_S
    while receiver.receive(0.05) is None:
        publisher(Answer(-1, 0, None, Status.OK))
        assert time.monotonic() < end
    while receiver.receive(0.2) is not None:
        pass


def test_answers_arrive():
    with AnswerPublisher(ANY_PORT) as publisher, AnswerReceiver(publisher.endpoint) as receiver:
        subscribed(publisher, receiver)
        responses, reconstruction = np.float32([[0.5, 2.0]]), np.zeros((1, 1, 32, 32), np.float32)
        publisher(Answer(5, 123, responses, Status.OK))
        publisher(Answer(6, 124, (responses, reconstruction), Status.LATE))
        first, second = receiver.receive(PATIENCE_S), receiver.receive(PATIENCE_S)
        assert (first.frame_id, first.captured_ns, first.status) == (5, 123, Status.OK)
        np.testing.assert_array_equal(first.value, responses, strict=True)
        assert second.status is Status.LATE
        assert second.is_fallback
        np.testing.assert_array_equal(second.value[1], reconstruction, strict=True)


def test_a_subscriber_that_does_not_read_stops_nobody():
    with AnswerPublisher(ANY_PORT) as publisher, AnswerReceiver(publisher.endpoint) as slow:
        subscribed(publisher, slow)
        start = time.monotonic()
        for number in range(5000):
            publisher(Answer(number, 0, IMAGE, Status.OK))
        assert time.monotonic() - start < PATIENCE_S
        kept = []
        while (answer := slow.receive(0.5)) is not None:
            kept.append(answer.frame_id)
        assert 0 < len(kept) < 2000
        assert kept == sorted(kept)


def test_malformed_answers_are_passed_over():
    with (
        AnswerReceiver("tcp://127.0.0.1:1") as closed_port,
        contextlib.ExitStack() as stack,
    ):
        assert closed_port.receive(0) is None
        context = stack.enter_context(zmq.Context())
        socket = stack.enter_context(context.socket(zmq.PUB))
        socket.linger = 0
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        receiver = stack.enter_context(AnswerReceiver(f"tcp://127.0.0.1:{port}"))
        end = time.monotonic() + PATIENCE_S
        while not receiver.received.malformed:
            socket.send_multipart([b"spike", b"12"])
            assert receiver.receive(0.05) is None
            assert time.monotonic() < end
        assert "no JSON" in receiver.received.last_problem


def test_closing_ends_a_receive_that_waits():
    with AnswerPublisher(ANY_PORT) as publisher, AnswerReceiver(publisher.endpoint) as receiver:
        timer = in_a_moment(receiver.close)
        assert receiver.receive() is None
        timer.join()


@pytest.mark.parametrize("endpoint", ["tcp://*:5555", "tcp://0.0.0.0:5555", "tcp://192.0.2.1:5555", "tcp://rig-2:5555"])
@pytest.mark.parametrize("kind", [FrameReceiver, FrameSender, AnswerPublisher, AnswerReceiver])
def test_other_computers_take_part_only_when_asked(kind, endpoint):
    with pytest.raises(SpecError, match=r"is not loop-back, .* pass allow_remote=True"):
        kind(endpoint)


def test_frames_from_other_computers_are_timed_on_arrival():
    with FrameReceiver("tcp://*:*", allow_remote=True) as receiver:
        port = receiver.endpoint.rpartition(":")[2]
        with FrameSender(f"tcp://127.0.0.1:{port}") as sender:
            assert sender.wait_for_receiver(PATIENCE_S)
            stamp = time.monotonic_ns()
            assert sender.send(IMAGE, captured_ns=stamp)
            assert next(iter(receiver)).captured_ns > stamp
        assert receiver.received.timed_on_arrival == 1


@pytest.mark.parametrize(
    "endpoint",
    ["5555", "udp://127.0.0.1:5", "tcp://127.0.0.1", "inproc://x", "ipc://", "tcp://:1", "tcp://localhost:65536"],
)
def test_an_endpoint_that_is_none_is_refused(endpoint):
    with pytest.raises(SpecError, match="is not an endpoint; give tcp://host:port"):
        FrameReceiver(endpoint)


def test_other_loop_backs(tmp_path):
    for endpoint in ("tcp://[::1]:*", f"ipc://{tmp_path}/frames"):
        with FrameReceiver(endpoint) as receiver, FrameSender(receiver.endpoint) as sender:
            assert sender.wait_for_receiver(PATIENCE_S)
            assert sender.send(IMAGE)
            assert next(iter(receiver)).id == 0


def test_a_port_in_use_is_one_line(receiver):
    with pytest.raises(TransportError, match=r"cannot be bound \(Address already in use.*choose a free one"):
        FrameReceiver(receiver.endpoint)


def test_a_queue_of_nothing_is_refused():
    with pytest.raises(SpecError, match="queue: is 0; give a whole number from 1 to 10000"):
        FrameReceiver(ANY_PORT, queue=0)  # which ZeroMQ would take for endless
    with pytest.raises(SpecError, match="max_bytes: is -1;"):
        AnswerReceiver(max_bytes=-1)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts the open files of Linux")
def test_nothing_stays_open():
    def count(folder):
        return len(list(Path(folder).iterdir()))

    def once():
        with FrameReceiver(ANY_PORT) as receiver, FrameSender(receiver.endpoint) as sender:
            sender.wait_for_receiver(PATIENCE_S)
            sender.send(IMAGE)
            next(iter(receiver))
            with pytest.raises(TransportError):
                FrameReceiver(receiver.endpoint)

    once()
    files, threads = count("/proc/self/fd"), count("/proc/self/task")
    for _ in range(5):
        once()
    assert count("/proc/self/fd") <= files
    assert count("/proc/self/task") <= threads
