"""The program in C answers frames from a bundle without Python; the one in C# speaks of the same interface."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

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
    return Bundle.open(daenr_export.export(checkpoint, folder / "cnn_fr2.daenr", native=True).bundle)


@pytest.mark.parametrize("compiler", [["cc"], [sys.executable, "-m", "ziglang", "cc"]], ids=["cc", "zig"])
def test_a_program_in_c_answers_frames_as_the_golden_file_says(bundle, tmp_path, compiler):
    if shutil.which(compiler[0]) is None:
        pytest.skip("there is no C compiler on this machine")
    target = native_target()
    library = bundle.path / "native" / target / f"responses.fp32{find_target(target).suffix}"
    program = tmp_path / "frames"
    strict = ["-std=c11", "-Wall", "-Wextra", "-Werror"]
    sources = [EXAMPLES / "frames.c", "-I", bundle.path / "native", library]
    subprocess.run([*compiler, *strict, *sources, "-o", program], check=True, capture_output=True, text=True)
    golden = bundle.golden()
    answered = subprocess.run([program], input=golden["image"].tobytes(), capture_output=True, check=True, timeout=60)
    expected = golden["responses.responses"]
    responses = np.frombuffer(answered.stdout, np.float32).reshape(expected.shape)
    assert np.abs(responses - expected).max() <= 1e-5 * np.abs(expected).max()


def test_the_program_in_c_is_as_short_as_is_said():
    lines = (EXAMPLES / "frames.c").read_text(encoding="utf-8").partition("int main")[2].splitlines()
    assert len([line for line in lines if line.strip()]) <= 20


def test_the_class_in_c_sharp_declares_what_the_header_declares():
    """There is no C# compiler here: at least names, order and sizes of what both declare are the same."""
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
