"""What a frame log says of the run that it belongs to."""

from __future__ import annotations

import json
import os
import platform
import uuid
from dataclasses import dataclass, field
from typing import Any

from daenr_common.machine import CPU_INFO, processor, read_system_file
from daenr_common.strict_json import decode, encode
from daenr_export.loop.frames import Status
from daenr_export.loop.log.records import ANCHOR, MAGIC, PREFIX, ROW, VERSION, sealed


def _this_machine() -> dict[str, str]:
    """The machine, by nothing that names it or its user."""
    return {
        "processor": processor(read_system_file(CPU_INFO)),
        "architecture": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "cores": str(os.cpu_count()),
    }


def _daenr_version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # slow to import, and not needed to read a log

    try:
        return version("daenr")
    except PackageNotFoundError:  # run from a folder of sources
        return "unknown"


@dataclass(frozen=True)
class LogHeader:
    """A run of a closed loop.

    Attributes:
        bundle_sha256: of the bundle's manifest; None where the session came from elsewhere.
        graph: that answers the frames, e.g. `responses`.
        backends: names, in the order that `backend_index` counts in: the first to run, then those that may follow.
        policy: which frame is next, `latest` or `fifo`.
        deadline_ns: from a frame's capture to its answer; None where there is none.
        run_id: of this run alone; made if not given.
        machine: where it ran; asked if not given.
        daenr_version: that wrote the log.
        notes: whatever else a reader should know, as texts by name.
    """

    bundle_sha256: str | None
    graph: str
    backends: tuple[str, ...]
    policy: str
    deadline_ns: int | None
    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    machine: dict[str, str] = field(default_factory=_this_machine)
    daenr_version: str = field(default_factory=_daenr_version)
    notes: dict[str, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The beginning of a log's file, up to its first block."""
        document = {
            "row": ROW.descr,
            "anchor": ANCHOR.descr,
            "statuses": {str(status.value): status.name.lower() for status in Status},
            "log": encode(self),
        }
        text = json.dumps(document, allow_nan=False).encode()
        return sealed(PREFIX.pack(MAGIC, VERSION, len(text)) + text)

    @classmethod
    def from_json(cls, document: Any) -> LogHeader:
        """Take it from the header of a file.

        Raises:
            FieldError: a field is missing, unknown or mistyped.
        """
        return decode(cls, document, "log")
