"""A loop in a process of its own, as an experiment runs it; what it did comes out as lines of JSON.

Run by the tests with a bundle, a log to write, and what is to be special about it.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import click

import daenr_export
from daenr_export.loop.log import FrameLog, LogHeader
from daenr_export.transports.synthetic import SyntheticCamera


def say(**facts: Any) -> None:
    click.echo(json.dumps(facts))


def state() -> dict[str, Any]:
    """What a loop and its session change in a process."""
    return {
        "gc": [gc.isenabled(), gc.get_freeze_count(), len(gc.callbacks)],
        "handlers": [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)],
        "interval": sys.getswitchinterval(),
        "cores": sorted(os.sched_getaffinity(0)),
        "policy": os.sched_getscheduler(0),
    }


def main(bundle: str, log_path: str, special: str) -> None:
    before = state()
    session_options: dict[str, Any] = {"keep_warm": True, "cpu": min(os.sched_getaffinity(0))}
    if special == "fifo":
        session_options["priority"] = "fifo"
    with daenr_export.load(bundle, backend="onnxruntime") as model:
        header = LogHeader(model.manifest.sha256, "responses", (model.backend,), "fifo", 10**9)
        log = FrameLog(Path(log_path), header=header)
        answered = 0

        def sink(answer: daenr_export.Answer) -> None:
            nonlocal answered
            answered += 1
            if answered == 20 and special != "stuck hook":
                say(running=True, cores=sorted(os.sched_getaffinity(0)), policy=os.sched_getscheduler(0))

        def hook(frame: daenr_export.Frame, outputs: Any) -> Any:
            if special == "stuck hook" and frame.id == 20:
                say(running=True)
                threading.Event().wait()
            return outputs

        def blocked_source() -> Any:
            yield from SyntheticCamera(rate_hz=200, frames=25)
            time.sleep(1000)

        with model.realtime(**session_options) as session:
            loop = daenr_export.ClosedLoop(
                session,
                blocked_source() if special == "blocked source" else SyntheticCamera(rate_hz=200),
                sink,
                deadline_ms=1000,
                policy="fifo",  # so that a busy machine drops none of the frames that the tests wait for
                queue=1000,
                hook=hook,
                log=log,
            )
            summary = loop.run()
    counts = {status.name: count for status, count in summary.counts.items()}
    say(ending=summary.ending.name, frames=summary.frames, counts=counts, restored=state() == before, before=before)


if __name__ == "__main__":
    main(*sys.argv[1:])
