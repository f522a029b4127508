"""The device's own time beside the host's, where a session tells it: the second column, never in place of the first.

These are calls of their own, right after those that the host timed: marking a stream takes the host a few
microseconds, which must not be in the latency that a rig feels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from daenr_bench.cells import BATCH
from daenr_bench.measurement import Device
from daenr_bench.scenarios.calling import Call
from daenr_bench.statistics.summaries import latency_of
from daenr_export.runtime.protocol import DeviceTimed, Session
from daenr_export.specs import Array


@final
class DeviceTimes:
    """The times of single images on a session's device, as far as they were measured.

    Args:
        session: that tells them.
    """

    def __init__(self, session: DeviceTimed) -> None:
        timed = session.bind_timed(BATCH)
        self._boundary = session.device_boundary
        self._taken_ns: list[int] = []
        self._lead_in = 0
        inner, device_ns = Call.of(timed.bound).run, timed.device_ns

        def run(batch: Array) -> None:
            inner(batch)
            if self._lead_in:
                self._lead_in -= 1
            else:
                self._taken_ns.append(device_ns())

        self.call = Call(run, timed.bound.outputs)

    @classmethod
    def of(cls, session: Session) -> DeviceTimes | None:
        """Those of a session; None if it does not tell them."""
        return cls(session) if isinstance(session, DeviceTimed) else None

    def leave_out(self, calls: int) -> None:
        """Take no times of the next calls, in which a CUDA graph may be captured anew for these buffers."""
        self._lead_in = calls

    def time(self, batches: Sequence[Array], calls: int, *, lead_in: int) -> None:
        """Answer one image after the other; the first `lead_in` are not counted."""
        self.leave_out(lead_in)
        for number in range(-lead_in, calls):
            self.call.run(batches[number % len(batches)])

    @property
    def samples(self) -> dict[str, NDArray[np.int64]]:
        """What goes into the npz."""
        return {"device_ns": np.array(self._taken_ns, np.int64)} if self._taken_ns else {}

    @property
    def summary(self) -> Device | None:
        """What goes into the result."""
        if not self._taken_ns:
            return None
        return Device(self._boundary, latency_of(np.array(self._taken_ns, np.int64)))
