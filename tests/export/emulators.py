"""Programs for other machines, made and run on this one: Arm by QEMU, Windows by Wine.

`tests/doubles/install_emulators.sh` installs them. What needs one that is missing is skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest
from native_library import DTYPES

import daenr_export.native
from daenr_export.native.compiling import CACHES
from daenr_export.native.targets import find_target

EMULATORS = {
    "aarch64-linux": ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
    "x86_64-windows": ["wine"],
}
"""What runs a program, by target."""

HEADERS = Path(daenr_export.native.__file__).parent / "c"
ANSWERS = Path(__file__).parent / "native" / "answers.c"
TIMEOUT_S = 120

ZIG = [sys.executable, "-m", "ziglang", "cc"]
"""The C compiler that comes with the export."""


def emulator_of(target: str) -> list[str]:
    """The command that runs programs of a target; skips the test where it, or what it needs, is missing."""
    command = EMULATORS[target]
    if shutil.which(command[0]) is None or not all(Path(path).exists() for path in command[2:]):
        pytest.skip(f"no emulator of {target} ({' '.join(command)}): see tests/doubles/install_emulators.sh")
    return command


def link(source: Path, library: Path, target: str, headers: Path = HEADERS) -> Path:
    """Compile a program for another machine, linked with a library beside which it is put."""
    # The C library of Windows takes a minute to compile: zig keeps it in its usual place, for all tests.
    environment = {name: value for name, value in os.environ.items() if name not in CACHES}
    compiler = [*ZIG, "-target", find_target(target).triple]
    return compile_program(compiler, source, library, library.with_name("program.exe"), headers, environment)


def compile_program(
    compiler: Sequence[str],
    source: Path,
    library: Path,
    program: Path,
    headers: Path = HEADERS,
    environment: Mapping[str, str] | None = None,
) -> Path:
    """Compile a program, linked with a library, without a warning."""
    strict = ["-std=c11", "-Wall", "-Wextra", "-Werror"]
    command = [*compiler, *strict, str(source), "-I", str(headers), str(library), "-o", str(program)]
    subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return program


def run(program: Path, target: str, arguments: Sequence[str], given: bytes) -> subprocess.CompletedProcess[bytes]:
    """A program of another machine that ended well, with what it wrote."""
    command = [*emulator_of(target), str(program), *arguments]
    done = subprocess.run(command, input=given, capture_output=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr[-1000:])
    return done


def answers(
    content: bytes, library: Path, target: str, batch: np.ndarray, instruction_set: str | None = None
) -> list[np.ndarray]:
    """What a graph's library answers a batch on its own machine, after its self-test.

    Args:
        content: the graph.
        library: of it.
        target: of the library.
        batch: of images.
        instruction_set: that it must have chosen; None for any.
    """
    done = run(link(ANSWERS, library, target), target, [str(len(batch))], batch.tobytes())
    if instruction_set is not None:
        assert done.stderr.decode().split() == ["instruction", "set", instruction_set]
    answered, outputs = done.stdout, []
    for value in onnx.load_from_string(content).graph.output:
        tensor = value.type.tensor_type
        shape = (len(batch), *(axis.dim_value for axis in tensor.shape.dim[1:]))
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        assert dtype in DTYPES.values()
        size = int(np.prod(shape)) * dtype.itemsize
        outputs.append(np.frombuffer(answered[:size], dtype).reshape(shape))
        answered = answered[size:]
    assert not answered
    return outputs


@contextmanager
def wine_of_its_own(folder: Path) -> Iterator[None]:
    """Wine's settings in a folder that goes with the tests, and no windows that ask for more to be installed."""
    settings = {"WINEPREFIX": str(folder), "WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree=d;mshtml=d"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        try:
            yield
        finally:
            if shutil.which("wineserver"):
                subprocess.run(["wineserver", "-k"], check=False)
