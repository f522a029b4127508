"""The generated C under address and undefined-behaviour sanitizers, and libraries under valgrind."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import native_graphs
import numpy as np
import pytest
from native_graphs import GraphBuilder
from native_library import ALL_SETS, compile_graph, skip_without

from daenr_export.native import native_target
from daenr_export.native.reading.graph import read_network
from daenr_export.native.targets import find_target
from daenr_export.native.writing.header import Description
from daenr_export.native.writing.library import write_library

pytestmark = pytest.mark.slow

DRIVER = Path(__file__).with_name("driver.c")


def odd_graph() -> bytes:
    """Pixels, odd shapes, skipped places, codes, and a last layer of three channels."""
    g = GraphBuilder(3, 11, 9, dtype="uint8")
    x = g.activate(g.conv(g.pixels("image"), 21, (3, 2), (2, 1), (1, 0, 2, 1)), "Elu")
    codes, rows = g.quantise(x, 7)
    up = g.conv_transpose(rows, 3, (5, 3), (2, 3), (1, 0, 0, 2))
    return g.build(g.softplus(g.readout(x, 13, 0.8)), codes, g.activate(up, "Tanh"))


GRAPHS = {"autoencoder": native_graphs.autoencoder, "odd": odd_graph}


def sources(content: bytes, names: tuple[str, ...], folder: Path) -> list[Path]:
    """The C of a library, with what `#embed` would bring in written out: not every compiler has it."""
    golden = native_graphs.images(content, 2)
    network, answers = read_network(content), native_graphs.reference(content, golden)
    machines = [machine for machine in find_target(native_target()).instruction_sets if machine.name in names]
    about = Description("test", "fp32", native_target(), "0" * 64, 11)
    outputs = {spec.name: answer for spec, answer in zip(network.outputs, answers, strict=True)}
    files = write_library(network, about, machines, golden, outputs)
    for name, text in files.items():
        for embedded in re.findall(rb'#embed "(.*?)"\n', text) if name.endswith(".h") else []:
            numbers = ",".join(map(str, np.frombuffer(files[embedded.decode()], np.uint8)))
            text = text.replace(b'#embed "' + embedded + b'"\n', numbers.encode() + b"\n")
        (folder / name).write_bytes(text)
    return [folder / name for name in files if name.endswith(".c")]


def build(compiler: list[str], content: bytes, name: str, folder: Path) -> Path:
    """The driver linked with a library that has one instruction set."""
    options = {"avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl"], "avx2": ["-mavx2", "-mfma"]}
    lanes = next(m.lanes for m in find_target(native_target()).instruction_sets if m.name == name)
    program = folder / "program"
    files = [DRIVER, *sources(content, (name,), folder)]
    common = ["-std=gnu2x", "-O1", "-g", "-fno-strict-aliasing", "-ffp-contract=fast", "-Wno-psabi", f"-I{folder}"]
    command = [*compiler, *common, *options.get(name, []), f"-DDAENR_LANES={lanes}", *files, "-o", program]
    subprocess.run(list(map(str, command)), check=True, timeout=300)
    return program


def run(command: list[str | Path]) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(("name", "graph"), [*((name, "odd") for name in ALL_SETS), (ALL_SETS[-1], "autoencoder")])
def test_addresses_and_undefined_behaviour(name, graph, tmp_path):
    skip_without(name)
    if shutil.which("gcc") is None:
        pytest.skip("gcc, which has the address sanitizer, is not installed")
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    output = run([build(["gcc", *sanitizers], GRAPHS[graph](), name, tmp_path)])
    assert f"instruction set {name}" in output
    assert output.count("batch") == 3


def test_undefined_behaviour_as_the_compiler_of_the_libraries_sees_it(tmp_path):
    zig = [sys.executable, "-m", "ziglang", "cc", "-fsanitize=undefined", "-fsanitize-trap=undefined"]
    assert run([build(zig, odd_graph(), ALL_SETS[-1], tmp_path)]).count("batch") == 3


def test_the_c_has_no_warnings(tmp_path):
    for graph in GRAPHS.values():
        compile_graph(graph(), tmp_path, options=("-O1", "-Wall", "-Wextra", "-Werror", "-Wno-c23-extensions"))


@pytest.mark.parametrize("graph", sorted(GRAPHS))
def test_valgrind_has_nothing_to_report(graph, tmp_path):
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    library = compile_graph(GRAPHS[graph](), tmp_path, max_batch=11)
    program = tmp_path / "driver"
    (tmp_path / "include").mkdir()
    sources(odd_graph(), ALL_SETS[-1:], tmp_path / "include")
    compiler = [sys.executable, "-m", "ziglang", "cc", "-O1", "-g", "-mcpu=baseline", "-fno-sanitize=all"]
    command = [*compiler, "-DDAENR_OPEN", f"-I{tmp_path / 'include'}", DRIVER, "-ldl", "-o", program]
    subprocess.run(list(map(str, command)), check=True, timeout=300)
    valgrind = ["valgrind", "--error-exitcode=97", "--exit-on-first-error=yes", "--leak-check=full", "-q"]
    assert run([*valgrind, program, library]).count("batch") == 3
