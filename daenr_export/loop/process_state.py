"""What a running loop changes in its process, and puts back: signal handlers, the switch interval, a callback of gc."""

from __future__ import annotations

import gc
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from daenr_export.loop.summary import Ending

SWITCH_INTERVAL_S = 1e-4
"""Python lets a thread that computes keep the interpreter for 5 ms by default: longer than a frame may take."""

_switching = threading.Lock()
_quick_loops = 0
_usual_interval_s = 0.0


@contextmanager
def quick_switching() -> Iterator[None]:
    """Let a thread that waits for the interpreter have it after 0.1 ms, for as long as any loop runs."""
    global _quick_loops, _usual_interval_s
    with _switching:
        if not _quick_loops:
            _usual_interval_s = sys.getswitchinterval()
            sys.setswitchinterval(min(SWITCH_INTERVAL_S, _usual_interval_s))
        _quick_loops += 1
    try:
        yield
    finally:
        with _switching:
            _quick_loops -= 1
            if not _quick_loops:
                sys.setswitchinterval(_usual_interval_s)


@contextmanager
def noting_collections(note: Callable[[], None]) -> Iterator[None]:
    """Call a function whenever Python begins to collect garbage."""

    def on_phase(phase: str, _info: dict[str, Any]) -> None:
        if phase == "start":
            note()

    gc.callbacks.append(on_phase)
    try:
        yield
    finally:
        gc.callbacks.remove(on_phase)


@contextmanager
def stopping_on_signals(stop: Callable[[Ending], None]) -> Iterator[None]:
    """In the main thread, let SIGINT and SIGTERM end the loop; the second of a kind does what it did before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {}

    def on_signal(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, before[number])
        stop(Ending(signal.Signals(number).name))

    for number in map(int, (signal.SIGINT, signal.SIGTERM)):
        handler = signal.getsignal(number)
        if handler is not None:  # None: set by other than Python, and cannot be put back
            before[number] = handler
            signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
