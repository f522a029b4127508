"""What a session changes for the thread that opens it: the core that it runs on, and its priority. Linux only."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from threading import get_native_id
from typing import Generic, TypeVar, final

from daenr_common.errors import DaenrError

DEFAULT_FIFO = 40
"""Below 50, where Linux runs the interrupt threads of cameras and network cards that the loop itself waits for."""

T = TypeVar("T")


@dataclass(eq=False)
class _Layer(Generic[T]):
    before: T


@final
class _PerThread(Generic[T]):
    """A setting of threads. Whoever lets go of it, and in whatever order, the thread ends as it was in the beginning.

    Args:
        get: reads it from a thread by its native id; 0 is the calling one.
        put: writes it.
    """

    def __init__(self, get: Callable[[int], T], put: Callable[[int, T], object]) -> None:
        self._get, self._put = get, put
        self._layers: dict[int, list[_Layer[T]]] = {}

    @contextmanager
    def held(self, value: T) -> Iterator[None]:
        process, thread = os.getpid(), get_native_id()
        mine = _Layer(self._get(0))
        self._put(0, value)
        layers = self._layers.setdefault(thread, [])
        layers.append(mine)
        try:
            yield
        finally:
            above = layers.index(mine) + 1
            if above < len(layers):
                layers[above].before = mine.before
            else:
                # In a forked child the id is still that of the parent's thread, which is to keep its setting.
                with suppress(ProcessLookupError):  # the thread has ended
                    self._put(thread if os.getpid() == process else 0, mine.before)
            layers.remove(mine)
            if not layers:
                self._layers.pop(thread, None)

    def in_the_beginning(self) -> T | None:
        """What the calling thread had before it was changed; None if it is unchanged."""
        layers = self._layers.get(get_native_id())
        return layers[0].before if layers else None

    def put_here(self, value: T) -> None:
        """Set it in the calling thread for good."""
        self._put(0, value)


if sys.platform == "linux":

    def _put_policy(thread: int, policy: tuple[int, int]) -> None:
        os.sched_setscheduler(thread, policy[0], os.sched_param(policy[1]))

    def _policy(thread: int) -> tuple[int, int]:
        return os.sched_getscheduler(thread), os.sched_getparam(thread).sched_priority

    _affinity = _PerThread[set[int]](os.sched_getaffinity, os.sched_setaffinity)
    _scheduling = _PerThread[tuple[int, int]](_policy, _put_policy)


def escape() -> Callable[[], None]:
    """Let threads started by the calling one run where and as it ran before its sessions.

    They inherit its core and its priority otherwise, and would get no turn beside an engine that never rests.

    Returns:
        What such a thread calls first. It changes nothing where nothing was changed.
    """
    if sys.platform != "linux":
        return lambda: None
    cores, policy = _affinity.in_the_beginning(), _scheduling.in_the_beginning()

    def settle() -> None:
        if policy is not None:
            _scheduling.put_here(policy)
        if cores is not None:
            _affinity.put_here(cores)

    return settle


def pin(cpu: int, undo: ExitStack) -> None:
    """Keep the calling thread on one core, until `undo` is closed.

    Raises:
        DaenrError: there is no such core, or this process may not use it, or this is not Linux.
    """
    setting = f"cpu={cpu!r}"
    _check_platform(setting, "pins a thread to a core")
    try:
        undo.enter_context(_affinity.held({cpu}))
    except (OSError, ValueError, TypeError, OverflowError) as error:
        cores = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
        raise DaenrError(
            setting, f"is not a core that this process may use ({error})", f"it runs on {cores}"
        ) from error


def set_priority(priority: str, undo: ExitStack) -> None:
    """Give the calling thread a real-time priority, until `undo` is closed.

    Args:
        priority: `fifo`, or `fifo:N` with N from 1 to 99.
        undo: takes what puts the thread back as it was.

    Raises:
        DaenrError: the process has no right to it, it is not known, or this is not Linux.
    """
    setting = f"priority={priority!r}"
    _check_platform(setting, "sets a thread's priority")
    number = _fifo_number(priority)
    low, high = os.sched_get_priority_min(os.SCHED_FIFO), os.sched_get_priority_max(os.SCHED_FIFO)
    if number is None or not low <= number <= high:
        raise DaenrError(setting, "is not known", f"give 'fifo', or 'fifo:N' with N from {low} to {high}")
    try:
        undo.enter_context(_scheduling.held((os.SCHED_FIFO, number)))
    except OSError as error:
        remedy = f"set 'rtprio {number}' for the user in /etc/security/limits.conf (ulimit -r), or leave it out"
        raise DaenrError(setting, f"is not allowed to this process ({error.strerror})", remedy) from error


def _fifo_number(priority: object) -> int | None:
    if priority == "fifo":
        return DEFAULT_FIFO
    match = re.fullmatch(r"fifo:(\d{1,3})", priority, re.ASCII) if isinstance(priority, str) else None
    return int(match[1]) if match else None


def _check_platform(setting: str, purpose: str) -> None:
    if sys.platform != "linux":
        raise DaenrError(setting, f"{purpose}, which daenr does on Linux only, not on {sys.platform}", "leave it out")
