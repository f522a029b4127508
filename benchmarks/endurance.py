"""Very many frames through a whole loop, each when the one before is answered: what grows, and what gets slower."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import daenr_export
from daenr_export.loop.contracts import LoopSession
from daenr_export.loop.frames import Answer, Frame, Status
from daenr_export.loop.log import FrameLog, LogHeader, read_log
from daenr_export.loop.summary import Summary
from daenr_export.specs import Array, GraphSpec

FIRST = 10_000
"""Frames after which memory is to grow no more."""

PART = 100_000
"""Frames whose p99 is compared, at the beginning and at the end."""


class Endurance(NamedTuple):
    """What it came to."""

    summary: Summary
    rows: int
    growth_bytes: int
    p99_first_ns: float
    p99_last_ns: float


def resident_bytes() -> int:
    """Memory of this process that is its own: file-backed pages come and go with the page cache."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no RssAnon in /proc/self/status")


class TrivialSession:
    """Answers at once, so that the loop is all that is measured."""

    keep_warm = False

    def __init__(self, spec: GraphSpec) -> None:
        self.spec = spec
        self._answer = np.zeros((1, *spec.outputs[0].shape), np.float32)

    def __call__(self, _image: Array) -> Array:
        """The same answer for any image."""
        return self._answer

    def wait_for(self, ready: Callable[[], bool], _until_ns: int) -> bool:
        """Nothing rests here, so there is nothing to keep warm: asks once."""
        return ready()


def endure(session: LoopSession, log_path: Path, *, frames: int) -> Endurance:
    """Run a loop with a hook and a log over so many frames."""
    log = FrameLog(log_path, header=LogHeader(None, session.spec.name, ("benchmark",), "latest", None))
    answered = threading.Semaphore(1)
    resident: dict[int, int] = {}

    def source() -> Any:
        image = np.zeros((1, 1, 32, 32), np.float32)
        for index in range(frames):
            answered.acquire()
            if index in (FIRST, frames - 1):
                resident[index] = resident_bytes()
            yield Frame(index, image, time.monotonic_ns())

    def sink(_answer: Answer) -> None:
        answered.release()

    gc.collect()
    summary = daenr_export.ClosedLoop(session, source(), sink, deadline_ms=20_000, hook=_hook, log=log).run()
    rows = read_log(log_path).rows
    taken_ns = (rows["emitted_ns"] - rows["captured_ns"])[rows["status"] == Status.OK]
    part = min(PART, len(taken_ns) // 2)
    return Endurance(
        summary,
        len(rows),
        resident[frames - 1] - resident[FIRST],
        float(np.percentile(taken_ns[:part], 99)),
        float(np.percentile(taken_ns[-part:], 99)),
    )


def _hook(_frame: Frame, outputs: Any) -> Any:
    return outputs
