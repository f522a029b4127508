"""What the system says of the machine in files that anybody may read."""

from __future__ import annotations

import platform
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")


def read_system_file(path: Path) -> str | None:
    """The text of a file of the system; None where there is no such file."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def processor(cpu_info: str | None) -> str:
    """The model of the CPU.

    Args:
        cpu_info: the text of `CPU_INFO`; None where the system has no such file.
    """
    for line in (cpu_info or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown"
