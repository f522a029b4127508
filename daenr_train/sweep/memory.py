"""The most memory that this process held at one time, since the last reset."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def reset_peak_memory() -> None:
    """Start anew, where the system can (Linux); elsewhere the peak is that of the process's whole life."""
    with suppress(OSError):
        _CLEAR.write_text("5")


def peak_memory_mib() -> float | None:
    """Peak resident memory in MiB; None where the system does not tell."""
    try:
        found = re.search(r"VmHWM:\s*(\d+) kB", _STATUS.read_text())
    except OSError:
        return None
    return int(found[1]) / 1024 if found else None
