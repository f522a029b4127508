"""Answering frame by frame: nothing allocated per call, warmed up, kept warm, undisturbed by the rest of the process.

See `daenr_export.runtime.model.Model.realtime`.
"""

from __future__ import annotations

from daenr_export.runtime.realtime.opening import RealtimeOptions, open_realtime
from daenr_export.runtime.realtime.session import RealtimeSession
from daenr_export.runtime.realtime.warm_up import WarmUpReport

__all__ = ["RealtimeOptions", "RealtimeSession", "WarmUpReport", "open_realtime"]
