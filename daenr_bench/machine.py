"""The machine that a benchmark ran on: what decides its figures, and nothing that names the machine or its user."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from daenr_common.machine import CPU_INFO, processor, read_system_file
from daenr_export.tensorrt.gpu import compute_capability, why_no_gpu

_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


@dataclass(frozen=True)
class Machine:
    """A machine, as far as it can be asked without rights.

    Attributes:
        processor: model of the CPU.
        architecture: e.g. `x86_64`.
        system: operating system and its release.
        python: version and implementation.
        cores: logical processors.
        usable_cores: those that this process may run on.
        governor: how Linux picks the clock of the first processor; None if it does not say.
        is_virtual: whether a hypervisor is below; None if the system does not say.
        load_average: over the last minute, when asked; None if the system has none.
        gpu: `none` with the reason, or the compute capability.
    """

    processor: str
    architecture: str
    system: str
    python: str
    cores: int
    usable_cores: int
    governor: str | None
    is_virtual: bool | None
    load_average: float | None
    gpu: str


_DECIDE_LATENCY = ("processor", "architecture", "system", "cores", "usable_cores", "governor", "is_virtual", "gpu")


def differences(one: Machine, other: Machine, named: tuple[str, str]) -> list[str]:
    """In what two machines differ that decides latencies, in words.

    Args:
        one: a machine.
        other: another, or the same.
        named: what each is called.
    """
    return [
        f"another machine: {name} is {getattr(one, name)!r} {named[0]} and {getattr(other, name)!r} {named[1]}"
        for name in _DECIDE_LATENCY
        if getattr(one, name) != getattr(other, name)
    ]


def this_machine(root: Path = Path("/")) -> Machine:
    """Ask the machine that this runs on. Changes nothing.

    Args:
        root: above `proc` and `sys`, in which Linux describes itself.
    """
    cores = os.cpu_count() or 1
    cpu_info = read_system_file(_below(root, CPU_INFO))
    return Machine(
        processor=processor(cpu_info),
        architecture=platform.machine(),
        system=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_version()} ({platform.python_implementation()})",
        cores=cores,
        usable_cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores,
        governor=read_system_file(_below(root, _GOVERNOR)),
        is_virtual=None if cpu_info is None else "hypervisor" in cpu_info,
        load_average=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        gpu=_gpu(),
    )


def _below(root: Path, path: Path) -> Path:
    return root / path.relative_to(path.anchor)


def _gpu() -> str:
    reason = why_no_gpu()
    return f"none: {reason}" if reason else f"compute capability {compute_capability()}"
