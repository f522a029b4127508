"""What sessions change for the whole process: garbage collection, and memory that is never paged out.

Several sessions may be open at a time, in several threads: the first applies a setting, the last one undoes it.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import final

from daenr_common.errors import DaenrError

LOCK = Lock()
"""Held while a setting of the process changes."""

_MCL_CURRENT, _MCL_FUTURE = 1, 2

Undo = Callable[[], object]


@final
class Shared:
    """A setting of the process that is held as long as anybody holds it.

    Args:
        apply: sets it, and returns what puts it back as it was.
    """

    def __init__(self, apply: Callable[[], Undo]) -> None:
        self._apply = apply
        self._holders = 0
        self._undo: Undo = _nothing

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the setting. Raises what applying it raises."""
        with LOCK:
            if not self._holders:
                self._undo = self._apply()
            self._holders += 1
        try:
            yield
        finally:
            with LOCK:
                self._holders -= 1
                if not self._holders:
                    self._undo()


def _freeze_gc() -> Undo:
    was_enabled, had_frozen = gc.isenabled(), gc.get_freeze_count()
    gc.collect()
    gc.freeze()
    gc.disable()

    def undo() -> None:
        if not had_frozen:  # what others froze cannot be told apart, and stays frozen
            gc.unfreeze()
        if was_enabled:
            gc.enable()

    return undo


def _lock_memory() -> Undo:
    setting, remedy = "lock_memory=True", "leave it out"
    if sys.platform != "linux":
        raise DaenrError(
            setting, f"keeps memory from being paged out, which daenr does on Linux only, not on {sys.platform}", remedy
        )
    if _has_locked_memory():
        return _nothing
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE):
        problem = f"is not allowed to this process ({os.strerror(ctypes.get_errno())})"
        remedy = "set 'memlock unlimited' for the user in /etc/security/limits.conf (ulimit -l), or leave it out"
        raise DaenrError(setting, problem, remedy)
    return lambda: libc.munlockall()


def _has_locked_memory() -> bool:
    """Whether the process locked memory itself before; there is no telling its pages from ours."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return any(line.startswith("VmLck:") and line.split()[1] != "0" for line in lines)


def _nothing() -> None:
    pass


frozen_gc = Shared(_freeze_gc)
"""Garbage collected once, what is left exempt from collection, and no collection by itself."""

locked_memory = Shared(_lock_memory)
"""All pages of the process in memory, also those that it takes later. DaenrError where that is not allowed."""
