"""C to shared libraries, by the C compiler of the ziglang wheel: the same compiler on every machine, for every target."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from daenr_common.errors import ExportError
from daenr_common.extras import require
from daenr_export.native.targets import InstructionSet, Target

FLAGS = (
    "-std=c23", "-O3", "-g0", "-fPIC", "-ffreestanding", "-fvisibility=hidden", "-fomit-frame-pointer", "-fno-strict-aliasing",
    "-ffp-contract=fast", "-fno-math-errno", "-fno-stack-protector", "-mprefer-vector-width=512", "-Wall", "-Wextra", "-Werror",
    "-Wno-c23-extensions", "-Wno-psabi",
)  # fmt: skip
"""`-ffreestanding` and `-nostdlib`: a library needs nothing of the machine that it is loaded on."""

TIMEOUT_S = 300


def compiler_version() -> str:
    """Name and version of the compiler.

    Raises:
        MissingExtraError: ziglang is not installed.
        ExportError: it does not run.
    """
    with tempfile.TemporaryDirectory() as folder:
        return f"zig {_zig(['version'], Path(folder)).strip()}"


def compile_library(
    files: Mapping[str, bytes], machines: Sequence[InstructionSet], target: Target, optimise: bool = True
) -> bytes:
    """Compile and link the files of `generate`; the same files give the same bytes.

    Args:
        files: by name.
        machines: the instruction sets that they were generated for.
        target: the machine to compile for.
        optimise: False compiles faster code slower: for tests of many graphs.

    Raises:
        MissingExtraError: ziglang is not installed.
        ExportError: the compiler failed; the first line of its message is in the error.
    """
    with tempfile.TemporaryDirectory(prefix="daenr-native-") as name:
        folder = Path(name)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        flags = [*FLAGS, *([] if optimise else ["-O1"])]
        objects = []
        for machine in machines:
            source = f"run_{machine.name}.c"
            options = [f"-mcpu={machine.cpu}", f"-DDAENR_LANES={machine.lanes}"]
            _zig(["cc", "-target", target.triple, *flags, *options, "-c", source, "-o", f"{source}.o"], folder)
            objects.append(f"{source}.o")
        _zig(["cc", "-target", target.triple, *flags, "-c", "library.c", "-o", "library.o"], folder)
        library = f"graph{target.suffix}"
        _zig(["cc", "-target", target.triple, "-shared", "-nostdlib", "-s", *objects, "library.o", "-o", library], folder)
        return (folder / library).read_bytes()


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
    """Run the compiler in a folder, with its caches there."""
    require("ziglang", extra="native", purpose="compiling native code")
    caches = {name: str(folder / ".zig") for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")}
    command = [sys.executable, "-m", "ziglang", *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, env=os.environ | caches, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ExportError("C compiler", f"does not run ({error})", "reinstall it: pip install 'daenr[native]'") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or ["no message"]
        raise ExportError("C compiler", f"failed: {lines[0].strip()}", "reinstall it: pip install 'daenr[native]'")
    return done.stdout
