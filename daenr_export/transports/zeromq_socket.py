"""A ZeroMQ socket that any thread may close, loop-back unless asked otherwise, whose queues hold a few messages."""

from __future__ import annotations

import ipaddress
import math
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, final

from daenr_common.errors import SpecError, TransportError
from daenr_common.extras import require

_KERNEL_BYTES = 2**16
_MAX_QUEUE = 10_000
_MAX_BYTES = 2**31


@final
class Socket:
    """A socket with a context of its own. Sending and receiving take turns; `close` makes both return.

    Args:
        kind: `PUSH`, `PULL`, `PUB` or `SUB`.
        endpoint: `tcp://host:port` (port `*` for any that is free) or `ipc://path`.
        bind: whether this end has the address; the other end connects to it.
        allow_remote: whether the endpoint may be other than loop-back.
        queue: messages that may wait in this end before new ones are dropped.
        max_bytes: a peer that sends a larger part is disconnected before memory is taken for it.

    Raises:
        MissingExtraError: pyzmq is not installed.
        SpecError: the endpoint or a size cannot be, or the endpoint is not loop-back and `allow_remote` not set.
        TransportError: the address is in use or not of this machine.
    """

    def __init__(
        self, kind: str, endpoint: str, *, bind: bool, allow_remote: bool, queue: int, max_bytes: int = 2**24
    ) -> None:
        self.is_local = _is_local(endpoint)
        if not (self.is_local or allow_remote):
            problem = "is not loop-back, so that other computers could take part"
            raise SpecError(endpoint, problem, "use tcp://127.0.0.1:port, or pass allow_remote=True")
        for name, value, most in (("queue", queue, _MAX_QUEUE), ("max_bytes", max_bytes, _MAX_BYTES)):
            if not 1 <= value <= most:
                raise SpecError(name, f"is {value}", f"give a whole number from 1 to {most}")
        self._zmq: Any = require("zmq", extra="zmq", purpose="sending and receiving over ZeroMQ")
        self._context = self._zmq.Context()
        self._turn = Lock()  # held during a call
        self._state = Lock()  # held while the two flags are read or written
        self._closing = Lock()
        self._closed = False
        self._in_call = False
        self._socket = self._context.socket(getattr(self._zmq, kind))
        try:
            options = {
                # What nobody takes must not pile up: in our queues, in the kernel's, or before there is a peer.
                **{"SNDHWM": queue, "RCVHWM": queue, "SNDBUF": _KERNEL_BYTES, "RCVBUF": _KERNEL_BYTES, "IMMEDIATE": 1},
                **{"LINGER": 0, "MAXMSGSIZE": max_bytes, "IPV6": "[" in endpoint},
            }
            for option, value in options.items():
                self._socket.setsockopt(getattr(self._zmq, option), int(value))
            if kind == "SUB":
                self._socket.setsockopt(self._zmq.SUBSCRIBE, b"")
            (self._socket.bind if bind else self._socket.connect)(endpoint)
        except self._zmq.ZMQError as error:
            self.close()
            verb = "bound" if bind else "connected to"
            remedy = "is another program on this port? choose a free one, or `*` as the port"
            raise TransportError(endpoint, f"cannot be {verb} ({error})", remedy) from error
        self.endpoint: str = self._socket.getsockopt_string(self._zmq.LAST_ENDPOINT)

    def send(self, parts: list[bytes]) -> bool:
        """Hand a message over without waiting.

        Returns:
            False if it was dropped, since nobody takes messages or not fast enough.

        Raises:
            TransportError: the socket is closed.
        """
        with self._call():
            # Takes note of what was taken meanwhile. Sending alone does so once a millisecond, and drops until then.
            self._socket.getsockopt(self._zmq.EVENTS)
            try:
                self._socket.send_multipart(parts, self._zmq.NOBLOCK)
            except self._zmq.Again:
                return False
        return True

    def wait_for_peer(self, timeout_s: float) -> bool:
        """Whether a message could be sent now, or can within a time. Raises as `send` does."""
        with self._call():
            return bool(self._socket.poll(int(timeout_s * 1000), self._zmq.POLLOUT))

    def receive(self, max_parts: int, until_ns: int | None = None) -> list[bytes] | None:
        """Wait for a message, by default as long as it takes.

        Returns:
            Its parts, without those beyond `max_parts + 1`; None if the socket was closed or the instant `until_ns` of
            `time.monotonic_ns` came first.
        """
        try:
            with self._call():
                if until_ns is not None:
                    left_ms = max(0, until_ns - time.monotonic_ns()) / 1e6
                    if not self._socket.poll(math.ceil(left_ms)):
                        return None
                parts = [self._socket.recv()]
                while self._socket.getsockopt(self._zmq.RCVMORE):
                    part = self._socket.recv()
                    if len(parts) <= max_parts:
                        parts.append(part)
                return parts
        except TransportError:
            if self._closed:
                return None
            raise

    def close(self) -> None:
        """Make a blocked call return, and free the socket and its port. Closing twice is allowed."""
        with self._state:
            self._closed = True
            if not self._in_call:
                self._socket.close()
        with self._closing:
            if not self._context.closed:
                # A call that is in the socket ends now, and closes it on its way out; this waits for that.
                self._context.term()

    @contextmanager
    def _call(self) -> Iterator[None]:
        """One call into the socket. Sockets are for one thread at a time, and only the context may interrupt them."""
        with self._turn:
            with self._state:
                if self._closed:
                    raise TransportError(self.endpoint, "was closed", "open it again")
                self._in_call = True
            try:
                yield
            except self._zmq.ZMQError as error:
                problem = "was closed" if self._closed else f"failed ({error})"
                raise TransportError(self.endpoint, problem, "open it again") from error
            finally:
                with self._state:
                    self._in_call = False
                    if self._closed:
                        self._socket.close()


def _is_local(endpoint: str) -> bool:
    """Whether only programs on this computer can be at the other end.

    Raises:
        SpecError: it is not an endpoint.
    """
    if re.fullmatch(r"ipc://.+", endpoint):
        return True
    found = re.fullmatch(r"tcp://(\[[0-9A-Fa-f:]+\]|[^:\[\]/;]+):(\d{1,5}|\*)", endpoint)
    # ZeroMQ would take port 65537 for port 1.
    if found is None or (found[2] != "*" and int(found[2]) >= 2**16):
        raise SpecError(endpoint, "is not an endpoint", "give tcp://host:port or ipc://path, e.g. tcp://127.0.0.1:5555")
    host = found[1].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
