"""The machines that native libraries are compiled for, and the instruction sets that they may have."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass

from daenr_common.errors import DaenrError


@dataclass(frozen=True)
class InstructionSet:
    """What the kernels are compiled for, once each.

    Attributes:
        name: as `daenr_instruction_set` answers.
        cpu: the processor, for the compiler.
        lanes: floats in a vector.
        registers: vector registers.
        fused: whether it multiplies and adds in one instruction.
    """

    name: str
    cpu: str
    lanes: int
    registers: int
    fused: bool = True


AVX512 = InstructionSet("avx512", "x86_64+avx512f+avx512dq+avx512bw+avx512vl", 16, 32)
AVX2 = InstructionSet("avx2", "x86_64+avx2+fma", 8, 16)
BASELINE = InstructionSet("baseline", "x86_64", 4, 16, fused=False)
NEON = InstructionSet("neon", "generic", 4, 32)

X86_64 = (AVX512, AVX2, BASELINE)
AARCH64 = (NEON,)


@dataclass(frozen=True)
class Target:
    """A kind of machine.

    Attributes:
        name: e.g. `x86_64-linux`.
        triple: the same for the compiler.
        suffix: of a shared library there.
        instruction_sets: that a library holds, the best first.
    """

    name: str
    triple: str
    suffix: str
    instruction_sets: tuple[InstructionSet, ...]


_TARGETS = (
    Target("x86_64-linux", "x86_64-linux-gnu.2.17", ".so", X86_64),
    Target("x86_64-windows", "x86_64-windows-gnu", ".dll", X86_64),
    Target("x86_64-macos", "x86_64-macos", ".dylib", X86_64),
    Target("aarch64-linux", "aarch64-linux-gnu.2.17", ".so", AARCH64),
    Target("aarch64-windows", "aarch64-windows-gnu", ".dll", AARCH64),
    Target("aarch64-macos", "aarch64-macos", ".dylib", AARCH64),
)
_BY_NAME = {target.name: target for target in _TARGETS}

TARGETS: tuple[str, ...] = tuple(_BY_NAME)
"""The names of the targets."""


def native_target() -> str:
    """The target of this machine.

    Raises:
        DaenrError: it is none of `TARGETS`.
    """
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    system = {"darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)
    return find_target(f"{machine}-{system}").name


def find_target(name: str) -> Target:
    """The target of a name.

    Raises:
        DaenrError: there is none.
    """
    if name not in _BY_NAME:
        raise DaenrError(
            f"target {name}", "is none that native code is made for", f"choose one of {', '.join(TARGETS)}"
        )
    return _BY_NAME[name]
