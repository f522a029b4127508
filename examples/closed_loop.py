"""A closed loop from a bundle to a stimulator. Copy it, and put your camera and your device in.

python examples/closed_loop.py cae_fr2.daenr --seconds 60 --rate 100 --log run.daenrlog
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from daenr_export import Answer, ClosedLoop, DaenrError, Frame, Status, load
from daenr_export.loop.log import FrameLog, LogHeader, read_log
from daenr_export.transports.synthetic import SyntheticCamera

DEADLINE_MS = 8.0
OFF = 0.0  # what the device is given when there is no answer in time


class Stimulator:
    """Your device: called with each answer, in a thread of its own, and closed at the end."""

    def __call__(self, answer: Answer) -> None:
        self.power = answer.value  # answer.status says whether this is an answer or the fallback

    def close(self) -> None:
        self.power = OFF


def power(_frame: Frame, rates: np.ndarray) -> float:
    """Your hook: from the predicted responses `(1, M)` of a frame to what the device is to do."""
    return float(np.clip(rates.mean() / 2, 0, 1))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=100, help="frames a second")
    parser.add_argument("--log", default="run.daenrlog")
    parser.add_argument("--force", action="store_true", help="replace the log of an earlier run")
    parser.add_argument("--cpu", type=int, help="the core that inference is to have for itself")
    options = parser.parse_args()

    with load(options.bundle, whole=True) as model:  # every file is hashed now, and none found changed later
        header = LogHeader(model.manifest.sha256, "responses", (model.backend,), "latest", round(DEADLINE_MS * 1e6))
        # Before the session, whose core it must not share.
        log = FrameLog(options.log, header=header, force=options.force)
        with model.realtime("responses", keep_warm=True, cpu=options.cpu) as session:
            images = model.golden["image"]  # that came with the bundle, of the type that it takes
            camera = SyntheticCamera(options.rate, jitter_ms=0.5, seconds=options.seconds, images=images)
            loop = ClosedLoop(session, camera, Stimulator(), deadline_ms=DEADLINE_MS, hook=power, fallback=OFF, log=log)
            summary = loop.run()  # until the camera ends; Ctrl-C ends it in order

    print(summary)
    rows = read_log(options.log).rows
    accounted = len(rows) == summary.frames and all((rows["status"] == s).sum() == summary.counts[s] for s in Status)
    print(f"{options.log} accounts for {len(rows)} of {summary.frames} frames")
    return 0 if accounted else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DaenrError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
