"""A camera without hardware: a fixed schedule with jitter and stalls, for tests, examples and dry runs of a rig."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from typing import final

import numpy as np

from daenr_common.errors import SpecError
from daenr_export.loop.frames import Frame
from daenr_export.specs import Array
from daenr_export.transports.closing import Closing
from daenr_export.transports.pacing import Pacer

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000


@final
class SyntheticCamera(Closing):
    """A source that takes frame `k` exactly `k / rate_hz` seconds after the first, and delivers it as a camera does.

    A frame that its reader fetches late keeps the instant at which it was due as its `captured_ns`, so that a backlog
    shows as age. Every iteration begins a new schedule with frame 0.

    Args:
        rate_hz: frames a second.
        jitter_ms: each frame is delivered up to this much after its capture, uniformly distributed; never before an
            earlier one.
        seconds: the length of the recording; None for no end.
        frames: the number of frames; None for no end. The shorter of the two counts.
        images: `(N, 1, 32, 32)` float32 in [-1, 1] or uint8, shown in turn; None for drifting gratings in float32.
        seed: of the jitter and the gratings.
        stalls: by frame, the seconds for which delivery stands still before it. Frames that fall due meanwhile come in
            one burst afterwards.

    Raises:
        SpecError: a rate, length, jitter or stall that cannot be, or no images.
    """

    def __init__(
        self,
        rate_hz: float,
        jitter_ms: float = 0,
        seconds: float | None = None,
        frames: int | None = None,
        images: Array | None = None,
        seed: int = 0,
        stalls: Mapping[int, float] | None = None,
    ) -> None:
        self._pacer = Pacer(rate_hz)
        self._jitter_ns = _at_least_0("jitter_ms", jitter_ms) * _NS_PER_MS
        self._frames = math.inf if frames is None else _at_least_0("frames", frames)
        if seconds is not None:
            self._frames = min(self._frames, math.ceil(_at_least_0("seconds", seconds) * rate_hz))
        self._stalls_ns = {frame: _at_least_0("stalls", stall) * _NS_PER_S for frame, stall in (stalls or {}).items()}
        self._images = np.array(gratings(seed=seed) if images is None else images, order="C")
        if not self._images.shape or not self._images.shape[0]:
            raise SpecError("images", f"has the shape {self._images.shape}", "give at least one image, (N, 1, 32, 32)")
        # Every frame is a view of these: a hook that writes into its frame must not change what is shown next.
        self._images.flags.writeable = False
        self._seed = seed

    def __iter__(self) -> Iterator[Frame]:
        jitter = np.random.default_rng(self._seed)
        start_ns = time.monotonic_ns()
        earliest_ns = 0  # after the delivery before
        index = 0
        while index < self._frames:
            captured_ns = start_ns + self._pacer.offset_ns(index)
            delivered_ns = captured_ns + int(jitter.random() * self._jitter_ns)
            if (stall_ns := self._stalls_ns.get(index)) is not None:
                earliest_ns = max(earliest_ns, captured_ns) + int(stall_ns)
            earliest_ns = max(earliest_ns, delivered_ns)
            if not self._pacer.wait_until(earliest_ns):
                return
            shown = index % len(self._images)
            yield Frame(index, self._images[shown : shown + 1], captured_ns)
            index += 1

    def close(self) -> None:
        """End the running iteration, even while it waits; later ones give no frame."""
        self._pacer.stop()


def gratings(count: int = 64, size: int = 32, seed: int = 0) -> Array:
    """Drifting gratings under a Gaussian window, `(count, 1, size, size)` float32 in [-1, 1]."""
    random = np.random.default_rng(seed)
    angle = random.uniform(0, np.pi, (count, 1, 1))
    cycles = random.uniform(1, 6, (count, 1, 1))
    phase = np.linspace(0, 2 * np.pi, count, endpoint=False).reshape(count, 1, 1)
    y, x = np.meshgrid(*[np.linspace(-1, 1, size)] * 2, indexing="ij")
    wave = np.sin(np.pi * cycles * (x * np.cos(angle) + y * np.sin(angle)) + phase)
    return (wave * np.exp(-(x**2 + y**2))).astype(np.float32)[:, np.newaxis]


def _at_least_0(name: str, value: float) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise SpecError(name, f"is {value}", "give a number of at least 0")
    return value
