"""Frames and answers over ZeroMQ: to and from a stimulus program in any language, on this computer or another.

The rig has `FrameReceiver` and `AnswerPublisher`; a stimulus program in Python has `FrameSender` and `AnswerReceiver`,
others follow `docs/transports.md`. Nothing waits for a slow or absent peer: what it cannot take is dropped.
"""

from __future__ import annotations

import logging
import operator
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from daenr_export.loop.frames import Answer, Frame
from daenr_export.specs import Array
from daenr_export.transports.closing import Closing
from daenr_export.transports.zeromq_messages import (
    FRAME_PARTS,
    MAX_OUTPUTS,
    MessageError,
    pack_answer,
    pack_frame,
    unpack_answer,
    unpack_frame,
)
from daenr_export.transports.zeromq_socket import Socket

FRAMES = "tcp://127.0.0.1:5555"
ANSWERS = "tcp://127.0.0.1:5556"
FRAMES_QUEUE = 4
ANSWERS_QUEUE = 16
MAX_BYTES = 16 * 2**20

_log = logging.getLogger(__name__)


@dataclass
class Received:
    """What came in so far.

    Attributes:
        messages: of the format.
        malformed: messages that were not, and were skipped.
        last_problem: of the last that was skipped.
        timed_on_arrival: frames whose `captured_ns` is the instant of their arrival, since the sender gave none, or one
            of another computer's clock.
    """

    messages: int = 0
    malformed: int = 0
    last_problem: str | None = None
    timed_on_arrival: int = 0

    def skip(self, endpoint: str, problem: str) -> None:
        """Count a message that is not of the format; the first is logged."""
        self.malformed += 1
        self.last_problem = problem
        if self.malformed == 1:
            _log.warning(
                "%s: skipped a message: %s; skipping others like it, see docs/transports.md", endpoint, problem
            )


@final
class FrameReceiver(Closing):
    """A source: the frames that a camera or a stimulus program sends (a PULL socket, bound).

    An image is handed on as it came, with a batch axis; the loop logs one that does not fit the graph as a fault. A
    message that is not of the format is counted in `received` and skipped.

    Args:
        endpoint: address to bind; with `bind=False`, to connect to. The port `*` takes a free one, see `endpoint`.
        bind: whether this end has the address.
        allow_remote: whether the address may be other than loop-back. Frames that come over it are timed on arrival,
            since another computer's monotonic clock says nothing here. There is no encryption or password.
        queue: frames that may wait here while nobody iterates.
        max_bytes: of an image. A sender of more is disconnected.

    Raises:
        MissingExtraError: pyzmq is not installed.
        SpecError: an argument cannot be.
        TransportError: the address cannot be bound.
    """

    def __init__(
        self,
        endpoint: str = FRAMES,
        *,
        bind: bool = True,
        allow_remote: bool = False,
        queue: int = FRAMES_QUEUE,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._socket = Socket("PULL", endpoint, bind=bind, allow_remote=allow_remote, queue=queue, max_bytes=max_bytes)
        self.received = Received()

    @property
    def endpoint(self) -> str:
        """The address, with the port that was taken."""
        return self._socket.endpoint

    def __iter__(self) -> Iterator[Frame]:
        while (message := self._socket.receive(FRAME_PARTS)) is not None:
            now_ns = time.monotonic_ns()
            try:
                frame, is_senders_time = unpack_frame(message, now_ns, trust_clock=self._socket.is_local)
            except MessageError as error:
                self.received.skip(self.endpoint, str(error))
                continue
            self.received.messages += 1
            if not is_senders_time:
                self._note_arrival_time()
            yield frame

    def close(self) -> None:
        """End the running iteration, even while it waits, and free the port."""
        self._socket.close()

    def _note_arrival_time(self) -> None:
        self.received.timed_on_arrival += 1
        if self.received.timed_on_arrival == 1:
            _log.warning("%s: frames count as taken when they arrive: no capture time of this clock", self.endpoint)


@final
class FrameSender(Closing):
    """The other end of a `FrameReceiver`, for stimulus programs in Python (a PUSH socket, connected).

    Args:
        endpoint: of the receiver.
        allow_remote: whether it may be on another computer.
        queue: frames that may wait here until the receiver takes them.

    Raises:
        MissingExtraError: pyzmq is not installed.
        SpecError: an argument cannot be.
    """

    def __init__(self, endpoint: str = FRAMES, *, allow_remote: bool = False, queue: int = FRAMES_QUEUE) -> None:
        self._socket = Socket("PUSH", endpoint, bind=False, allow_remote=allow_remote, queue=queue)
        self._next_id = 0

    def send(self, image: Array, *, id: int | None = None, captured_ns: int | None = None) -> bool:
        """Send an image without waiting.

        Args:
            image: what the graph takes, with or without batch and channel axis.
            id: its number; None for the next.
            captured_ns: when it was taken, on `time.monotonic_ns`; None for now.

        Returns:
            False if it was dropped: there is no receiver, or it does not keep up. Its number is used up.

        Raises:
            SpecError: the image is not of numbers.
            TransportError: the sender is closed.
        """
        number = self._next_id if id is None else operator.index(id)
        self._next_id = number + 1
        stamp_ns = time.monotonic_ns() if captured_ns is None else operator.index(captured_ns)
        return self._socket.send(pack_frame(number, image, stamp_ns))

    def wait_for_receiver(self, timeout_s: float) -> bool:
        """Wait until there is a receiver that takes frames; one is found some milliseconds after it or this began.

        Returns:
            False if there was none in time.
        """
        return self._socket.wait_for_peer(timeout_s)

    def close(self) -> None:
        """Drop what was not taken, and disconnect."""
        self._socket.close()


@final
class AnswerPublisher(Closing):
    """A sink: everybody who subscribed is sent each answer (a PUB socket, bound). It never waits for them.

    Args:
        endpoint: address to bind; with `bind=False`, to connect to. The port `*` takes a free one, see `endpoint`.
        bind: whether this end has the address.
        allow_remote: whether the address may be other than loop-back. There is no encryption or password.
        queue: answers that may wait for each subscriber; further ones are dropped for it.

    Raises:
        MissingExtraError: pyzmq is not installed.
        SpecError: an argument cannot be.
        TransportError: the address cannot be bound.
    """

    def __init__(
        self, endpoint: str = ANSWERS, *, bind: bool = True, allow_remote: bool = False, queue: int = ANSWERS_QUEUE
    ) -> None:
        self._socket = Socket("PUB", endpoint, bind=bind, allow_remote=allow_remote, queue=queue)

    @property
    def endpoint(self) -> str:
        """The address, with the port that was taken."""
        return self._socket.endpoint

    def __call__(self, answer: Answer, /) -> None:
        """Send one answer.

        Raises:
            SpecError: its value is neither numbers, an array, a tuple of these, nor None.
            TransportError: the publisher is closed.
        """
        self._socket.send(pack_answer(answer))

    def close(self) -> None:
        """Free the port."""
        self._socket.close()


@final
class AnswerReceiver(Closing):
    """The other end of an `AnswerPublisher`, for stimulus programs in Python (a SUB socket, connected).

    What was published before the subscription arrived, some milliseconds after this was made, is not received.

    Args:
        endpoint: of the publisher.
        allow_remote: whether it may be on another computer.
        queue: answers that may wait here; further ones are dropped.
        max_bytes: of an array.

    Raises:
        MissingExtraError: pyzmq is not installed.
        SpecError: an argument cannot be.
    """

    def __init__(
        self,
        endpoint: str = ANSWERS,
        *,
        allow_remote: bool = False,
        queue: int = ANSWERS_QUEUE,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._socket = Socket("SUB", endpoint, bind=False, allow_remote=allow_remote, queue=queue, max_bytes=max_bytes)
        self.received = Received()

    def receive(self, timeout_s: float | None = None) -> Answer | None:
        """Wait for the next answer.

        Args:
            timeout_s: for so long; 0 to look only, None for ever.

        Returns:
            None if none came in time or the receiver was closed. `value` is an array, a tuple of arrays, or None.
        """
        until_ns = None if timeout_s is None else time.monotonic_ns() + int(timeout_s * 1e9)
        while (message := self._socket.receive(1 + MAX_OUTPUTS, until_ns)) is not None:
            try:
                answer = unpack_answer(message)
            except MessageError as error:
                self.received.skip(self._socket.endpoint, str(error))
            else:
                self.received.messages += 1
                return answer
        return None

    def __iter__(self) -> Iterator[Answer]:
        while (answer := self.receive()) is not None:
            yield answer

    def close(self) -> None:
        """Make a waiting `receive` return, and disconnect."""
        self._socket.close()
