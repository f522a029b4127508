"""The program in C answers frames from a bundle without Python; the one in C# speaks of the same interface."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import emulators
import numpy as np
import pytest

import daenr_export
from daenr_export.bundle import Bundle
from daenr_export.exporting.natives import header
from daenr_export.native.targets import find_target, native_target

pytest.importorskip("ziglang")
pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples" / "native"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Bundle:
    from model_factory import write_checkpoint

    folder = tmp_path_factory.mktemp("native")
    checkpoint = write_checkpoint(folder / "cnn_fr2.pt", "cnn-fr2", n_images=6)
    targets = (native_target(), *(target for target in emulators.EMULATORS if target != native_target()))
    return Bundle.open(daenr_export.export(checkpoint, folder / "cnn_fr2.daenr", native=True, targets=targets).bundle)


def library_of(bundle: Bundle, target: str) -> Path:
    return bundle.path / "native" / target / f"responses.fp32{find_target(target).suffix}"


def assert_golden(bundle: Bundle, answered: bytes) -> None:
    expected = bundle.golden()["responses.responses"]
    responses = np.frombuffer(answered, np.float32).reshape(expected.shape)
    assert np.abs(responses - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("compiler", [["cc"], emulators.ZIG], ids=["cc", "zig"])
def test_a_program_in_c_answers_frames_as_the_golden_file_says(bundle, tmp_path, compiler):
    if shutil.which(compiler[0]) is None:
        pytest.skip("there is no C compiler on this machine")
    library = library_of(bundle, native_target())
    program = emulators.compile_program(
        compiler, EXAMPLES / "frames.c", library, tmp_path / "frames", bundle.path / "native"
    )
    images = bundle.golden()["image"].tobytes()
    answered = subprocess.run([program], input=images, capture_output=True, check=True, timeout=60)
    assert_golden(bundle, answered.stdout)


@pytest.mark.parametrize(
    ("graph", "cut", "said"),
    [
        ("encoder", 0, "frames: link with the library of the graph responses\n"),
        ("readout", 0, "frames: link with the library of the graph responses\n"),
        ("responses", 1, "frames: the last image is not whole\n"),
    ],
)
def test_the_program_in_c_says_what_it_does_not_take(bundle, tmp_path, graph, cut, said):
    library = library_of(bundle, native_target()).with_name(f"{graph}.fp32{find_target(native_target()).suffix}")
    program = emulators.compile_program(
        emulators.ZIG, EXAMPLES / "frames.c", library, tmp_path / "frames", bundle.path / "native"
    )
    images = bundle.golden()["image"].tobytes()
    done = subprocess.run([program], input=images[: len(images) - cut], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.decode()) == (2, said)


@pytest.mark.parametrize("target", emulators.EMULATORS)
def test_the_same_program_answers_on_other_machines(bundle, tmp_path, target):
    emulators.emulator_of(target)
    library = Path(shutil.copy(library_of(bundle, target), tmp_path))
    program = emulators.link(EXAMPLES / "frames.c", library, target, bundle.path / "native")
    with emulators.wine_of_its_own(tmp_path / "wine"):
        assert_golden(bundle, emulators.run(program, target, [], bundle.golden()["image"].tobytes()).stdout)


FRAMES_IN_C_SHARP = """
using System;
using System.IO;

static class Frames
{
    static void Main()
    {
        using (var graph = new NativeGraph())
        using (var input = new BinaryReader(Console.OpenStandardInput()))
        using (var output = new BinaryWriter(Console.OpenStandardOutput()))
        {
            for (byte[] frame; (frame = input.ReadBytes(4 * graph.Image.Length)).Length > 0;)
            {
                Buffer.BlockCopy(frame, 0, graph.Image, 0, frame.Length);
                graph.Run();
                foreach (float response in graph.Responses) output.Write(response);
            }
            graph.Dispose();
            try { graph.Run(); Environment.Exit(3); } catch (ObjectDisposedException) { }
        }
    }
}
"""


def test_the_class_in_c_sharp_answers_frames_as_the_golden_file_says(bundle, tmp_path):
    """C# 7.2, as the .NET Framework takes it that Bonsai runs on."""
    if shutil.which("mcs") is None or shutil.which("mono") is None:
        pytest.skip("no Mono: see tests/doubles/install_emulators.sh")
    shutil.copy(library_of(bundle, native_target()), tmp_path / "libresponses.so")
    (tmp_path / "Frames.cs").write_text(FRAMES_IN_C_SHARP, encoding="utf-8")
    strict = ["-unsafe", "-langversion:7.2", "-warnaserror"]
    sources = [str(EXAMPLES / "NativeGraph.cs"), "Frames.cs"]
    subprocess.run(["mcs", *strict, *sources, "-out:frames.exe"], cwd=tmp_path, check=True, capture_output=True)
    answered = subprocess.run(
        ["mono", "frames.exe"],
        cwd=tmp_path,
        input=bundle.golden()["image"].tobytes(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert_golden(bundle, answered.stdout)


def test_the_program_in_c_is_as_short_as_is_said():
    lines = (EXAMPLES / "frames.c").read_text(encoding="utf-8").partition("int main")[2].splitlines()
    assert len([line for line in lines if line.strip()]) <= 20


def test_the_class_in_c_sharp_declares_what_the_header_declares():
    """Where there is no C# compiler, at least names, order and sizes of what both declare are the same."""
    c_sharp, c = (EXAMPLES / "NativeGraph.cs").read_text(encoding="utf-8"), header().decode()
    functions = set(re.findall(r"static extern \S+ (daenr_\w+)\(", c_sharp))
    assert functions == set(re.findall(r"DAENR_API [^;]*?\b(daenr_\w+)\(", c))
    assert re.search(r"Abi = (\d+)", c_sharp).group(1) == re.search(r"DAENR_NATIVE_ABI (\d+)", c).group(1)
    structure = re.search(r"struct Graph\s*\{(.*?)\}", c_sharp, re.DOTALL).group(1)
    assert re.findall(r"(\w+)[,;]", structure) == [
        *("Abi", "Outputs", "Name", "Precision", "Target", "Source", "MaxBatch", "StateBytes"),
        *("Input", "Output0", "Output1", "Output2", "Output3"),
    ]
    assert "struct Tensor { public IntPtr Name; public int Dtype, Rank; public fixed long Dims[4]; }" in c_sharp
