"""The log of a closed loop: one row for each frame, written outside the loop, readable after a kill (see `records`)."""

from __future__ import annotations

from daenr_export.loop.log.header import LogHeader
from daenr_export.loop.log.reader import LoggedRun, read_log
from daenr_export.loop.log.writer import FrameLog

__all__ = ["FrameLog", "LogHeader", "LoggedRun", "read_log"]
