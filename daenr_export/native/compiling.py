"""C to shared libraries, by the C compiler of the ziglang wheel: the same on every machine, for every target."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from daenr_common.errors import ExportError
from daenr_common.extras import require
from daenr_export.native.targets import InstructionSet, Target

FLAGS = (
    "-std=c23", "-O3", "-g0", "-fPIC", "-ffreestanding", "-fvisibility=hidden", "-fomit-frame-pointer",
    "-fno-strict-aliasing", "-ffp-contract=fast", "-fno-math-errno", "-fno-stack-protector",
    "-mprefer-vector-width=512", "-Wno-psabi",
)  # fmt: skip
"""With `-ffreestanding` and `-nostdlib` a library needs nothing of the machine that it is loaded on."""

CACHES = ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")
"""Where the compiler keeps what it compiled: beside the sources, and gone with them, unless these are set."""

TIMEOUT_S = 300
REMEDY = "reinstall it: pip install --force-reinstall ziglang"


def compiler_version() -> str:
    """Name and version of the compiler.

    Raises:
        MissingExtraError: ziglang is not installed.
        ExportError: it does not run.
    """
    with tempfile.TemporaryDirectory(prefix="daenr-native-") as folder:
        return f"zig {_zig(['version'], Path(folder)).strip()}"


def compile_library(
    files: Mapping[str, bytes],
    name: str,
    machines: Sequence[InstructionSet],
    target: Target,
    options: Sequence[str] = (),
) -> bytes:
    """Compile and link the files of `write_library`; the same files give the same bytes.

    Args:
        files: by name.
        name: of the library's file, by which Windows looks for it when a program that was linked with it starts.
        machines: the instruction sets that they were written for.
        target: the machine to compile for.
        options: for the compiler, besides `FLAGS`.

    Raises:
        MissingExtraError: ziglang is not installed.
        ExportError: the compiler failed; what it says first is in the error.
    """
    with tempfile.TemporaryDirectory(prefix="daenr-native-") as temporary:
        folder = Path(temporary)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        compiler = ["cc", "-target", target.triple, *FLAGS, *options]
        calls = [[*compiler, "-c", "library.c", "-o", "library.o"]]
        for machine in machines:
            source = f"run_{machine.name}.c"
            calls.append(
                [*compiler, f"-mcpu={machine.cpu}", f"-DDAENR_LANES={machine.lanes}", "-c", source, "-o", f"{source}.o"]
            )
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda call: _zig(call, folder), calls))
        objects = [call[-1] for call in calls]
        _zig(["cc", "-target", target.triple, "-shared", "-nostdlib", "-s", *objects, "-o", name], folder)
        return (folder / name).read_bytes()


def compile_alone(files: Mapping[str, bytes], source: str, target: Target) -> bytes:
    """Compile one file of C, which may include the others, to a shared library that needs nothing else.

    Args:
        files: by name.
        source: name of the one that is compiled.
        target: the machine to compile for.

    Raises:
        MissingExtraError: ziglang is not installed.
        ExportError: the compiler failed; the first line of its message is in the error.
    """
    with tempfile.TemporaryDirectory(prefix="daenr-native-") as name:
        folder, library = Path(name), f"alone{target.suffix}"
        for file, content in files.items():
            (folder / file).write_bytes(content)
        _zig(["cc", "-target", target.triple, *FLAGS, "-shared", "-nostdlib", "-s", source, "-o", library], folder)
        return (folder / library).read_bytes()


def _zig(arguments: list[str], folder: Path) -> str:
    """Run the compiler in a folder."""
    require("ziglang", extra="native", purpose="compiling native code")
    environment = {name: str(folder / ".zig") for name in CACHES} | os.environ
    command = [sys.executable, "-m", "ziglang", *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ExportError("C compiler", f"does not run ({error})", REMEDY) from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        first = next((line for line in lines if "error" in line), lines[0])
        raise ExportError("C compiler", f"failed ({first.strip()})", REMEDY)
    return done.stdout
