"""The machines that native libraries are compiled for, and the instruction sets that they may have."""

from __future__ import annotations

import platform
import sys
from typing import Literal, NamedTuple

from daenr_common.errors import DaenrError, ExportError

Shorter = Literal["bf16", "int8"]
"""Numbers that are shorter than float32."""

BYTES: dict[Shorter | None, int] = {"int8": 1, "bf16": 2, None: 4}
"""Of a number; None is float32."""


class InstructionSet(NamedTuple):
    """What the kernels are compiled for, once each.

    Attributes:
        name: as `daenr_instruction_set` answers.
        cpu: the processor, for the compiler.
        lanes: floats in a vector.
        registers: vector registers.
        fused: whether it multiplies and adds in one instruction.
        shorter: numbers that it multiplies faster than float32.
        tiles: whether it does so on tiles, which must be set up for each run.
    """

    name: str
    cpu: str
    lanes: int
    registers: int
    fused: bool = True
    shorter: tuple[Shorter, ...] = ()
    tiles: bool = False


_AVX512 = "x86_64+avx512f+avx512dq+avx512bw+avx512vl"
_AMX = f"{_AVX512}+avx512vnni+avx512bf16+amx_tile+amx_bf16+amx_int8"
AMX = InstructionSet("amx", _AMX, 16, 32, shorter=("int8", "bf16"), tiles=True)
AVX512_VNNI = InstructionSet("avx512_vnni", f"{_AVX512}+avx512vnni", 16, 32, shorter=("int8",))
AVX512 = InstructionSet("avx512", _AVX512, 16, 32)
AVX2 = InstructionSet("avx2", "x86_64+avx2+fma", 8, 16)
BASELINE = InstructionSet("baseline", "x86_64", 4, 16, fused=False)
NEON = InstructionSet("neon", "generic", 4, 32)

X86_64 = (AVX512, AVX2, BASELINE)
AARCH64 = (NEON,)


class Target(NamedTuple):
    """A kind of machine.

    Attributes:
        name: e.g. `x86_64-linux`.
        triple: the same for the compiler.
        suffix: of a shared library there.
        instruction_sets: that a library holds, the best first.
        shorter: those in front of them where it computes in less than float32.
    """

    name: str
    triple: str
    suffix: str
    instruction_sets: tuple[InstructionSet, ...]
    shorter: tuple[InstructionSet, ...] = ()

    def of_precision(self, precision: str) -> tuple[InstructionSet, ...]:
        """The instruction sets of a library of this precision.

        Raises:
            ExportError: no processor of this target computes in it.
        """
        if precision == "fp32":
            return self.instruction_sets
        if not self.multiplying(precision):
            able = ", ".join(target.name for target in _TARGETS if target.multiplying(precision))
            problem = f"is not computed in by compiled C for {self.name}"
            raise ExportError(f"--precision {precision}", problem, f"leave it out, or compile for {able}")
        return (*self.multiplying(precision), *self.instruction_sets)

    def multiplying(self, precision: str) -> tuple[InstructionSet, ...]:
        """The instruction sets that multiply such numbers faster than float32; of `auto` any that are shorter."""
        return tuple(one for one in self.shorter if precision in one.shorter or (precision == "auto" and one.shorter))


_TARGETS = (
    Target("x86_64-linux", "x86_64-linux-gnu.2.17", ".so", X86_64, (AMX, AVX512_VNNI)),
    Target("x86_64-windows", "x86_64-windows-gnu", ".dll", X86_64, (AVX512_VNNI,)),
    Target("x86_64-macos", "x86_64-macos", ".dylib", X86_64),
    Target("aarch64-linux", "aarch64-linux-gnu.2.17", ".so", AARCH64),
    Target("aarch64-windows", "aarch64-windows-gnu", ".dll", AARCH64),
    Target("aarch64-macos", "aarch64-macos", ".dylib", AARCH64),
)
SHORTER_SETS = (AMX.name, AVX512_VNNI.name)
"""Instruction sets that compute in what a library was made for, where that is shorter than float32."""

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
