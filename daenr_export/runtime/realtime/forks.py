"""Forked children: what they must not use, and what they must not keep.

A child has a copy of the memory, but neither the threads of the backend's library nor its place on a GPU, so a session
would hang or answer nonsense there. And it has no claim to its parent's core, priority or frozen garbage collection.
"""

from __future__ import annotations

import os
import weakref
from contextlib import ExitStack
from threading import get_ident
from typing import TYPE_CHECKING, NamedTuple

from daenr_export.runtime.realtime.process_settings import LOCK

if TYPE_CHECKING:
    from daenr_export.runtime.realtime.session import RealtimeSession


class _Held(NamedTuple):
    process: ExitStack
    thread: ExitStack
    engine: ExitStack
    ident: int


_held: weakref.WeakKeyDictionary[RealtimeSession, _Held] = weakref.WeakKeyDictionary()
_left: list[tuple[RealtimeSession, ExitStack]] = []
"""Engines of the parent in a child: closing them there waits for threads that the child does not have."""


def watch(session: RealtimeSession, process: ExitStack, thread: ExitStack, engine: ExitStack) -> None:
    """Make a session refuse to work in forked children, and have them undo its settings.

    Args:
        session: opened by the calling thread.
        process: undoes what was set for the whole process.
        thread: undoes what was set for the calling thread.
        engine: closes what the session runs.
    """
    _held[session] = _Held(process, thread, engine, get_ident())


def _in_child() -> None:
    LOCK.release()
    for session, held in list(_held.items()):
        session.retire("was opened before this process was forked", "load the bundle and open a session in the child")
        _left.append((session, held.engine.pop_all()))
        held.process.close()
        if held.ident == get_ident():  # a child goes on as a copy of the thread that forked, and of no other
            held.thread.close()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=_in_child)
