"""The C++ example answers as daenr does, and says no to what daenr says no to."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import cpp_program
import numpy as np
import pytest
from bundle_factory import sealed

from daenr_common.hashing import sha256_of
from daenr_export.bundle import Bundle
from daenr_export.bundle.golden import Golden
from daenr_export.runtime.backends.onnxruntime import OnnxRuntimeBackend
from daenr_export.verification.parity import answer_all, compare, from_manifest

pytestmark = pytest.mark.slow

CHECK_ONLY = ("--seconds", "0")


@pytest.fixture(scope="module")
def rig() -> Path:
    return cpp_program.program()


@pytest.fixture
def bundle(exports, tmp_path: Path) -> Path:
    return shutil.copytree(exports.cae_fr2, tmp_path / "cae_fr2.daenr")


def run(rig: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([rig, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120)


def edit_golden(path: Path, name: str, change) -> None:
    """Change one golden array, and seal the bundle again."""
    arrays = golden_of(path)
    arrays[name] = change(arrays[name].copy())
    replace_file(path, "golden.npz", npz(arrays))


def npz(arrays: dict[str, np.ndarray], compression: int = zipfile.ZIP_STORED) -> bytes:
    """As a bundle's writer writes it: numpy.savez puts 64-bit sizes into the archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, array in arrays.items():
            entry = io.BytesIO()
            np.lib.format.write_array(entry, array)
            archive.writestr(f"{name}.npy", entry.getvalue())
    return stream.getvalue()


def replace_file(path: Path, name: str, content: bytes) -> None:
    (path / name).write_bytes(content)
    document = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    document["files"][name] = {"bytes": len(content), "sha256": sha256_of(content)}
    (path / "manifest.json").write_bytes(sealed(document))


@pytest.mark.parametrize("model", ["cae_fr2", "vqvae_fm3"])
@pytest.mark.parametrize("graph", ["encoder", "decoder", "readout", "responses", "reconstruction", "joint"])
def test_answers_and_measures_are_those_of_verify(rig, exports, model, graph):
    opened = Bundle.open(getattr(exports, model))
    source = opened.graph(graph)
    golden = Golden(opened.golden())
    with OnnxRuntimeBackend().open(source) as session:
        answers = answer_all(session.run, golden.inputs(source.spec), 1)
    names = [output.name for output in source.spec.outputs]
    tolerance = from_manifest(opened.manifest.tolerances, "fp32")
    expected = compare(dict(zip(names, answers, strict=True)), golden.references(source.spec), tolerance)

    result = run(rig, opened.path, "--graph", graph, *CHECK_ONLY)

    assert result.returncode == 0, result.stdout + result.stderr
    head, *lines = result.stdout.splitlines()
    assert f"graph {graph}, onnxruntime 1." in head
    assert len(lines) == len(expected)
    for line, comparison in zip(lines, expected, strict=True):
        assert line.startswith(f"{comparison.output}, {opened.manifest.golden.images} golden answers: ")
        for metric in ("psnr_db", "correlation", "code_agreement"):
            if metric in comparison.metrics:
                assert f"{metric} {comparison.metrics[metric]:.6g}" in line
        if "max_error_over_scale" in comparison.metrics:
            assert f"error {comparison.metrics['max_error_over_scale']:.1e} of scale" in line


def one_value_off(array: np.ndarray) -> np.ndarray:
    array[3, 2] += 1e-3 * np.abs(array).max()
    return array


def one_nan(array: np.ndarray) -> np.ndarray:
    array[0, 0] = np.nan
    return array


def shuffled_faint_neuron(array: np.ndarray) -> np.ndarray:
    # Below the tolerance of the whole output, so that nothing but the neuron's own correlation can tell.
    array[:, 2] = array[:, 2].mean() + 2e-3 * np.abs(array).max() * np.array([1, -1, 1, -1, 1, -1])
    return array


def noise(array: np.ndarray) -> np.ndarray:
    return array + np.float32(3e-5) * np.where(np.arange(array.size) % 2, 1, -1).reshape(array.shape).astype(np.float32)


@pytest.mark.parametrize(
    ("graph", "array", "change", "tolerances", "problem"),
    [
        ("responses", "responses.responses", one_value_off, {}, "error 1.0e-03 of its scale, tolerated 5e-05"),
        ("responses", "responses.responses", one_nan, {}, "1 values are NaN or infinite"),
        (
            *("responses", "responses.responses", shuffled_faint_neuron, {"fp32.max_error_over_scale": 10.0}),
            "correlation ",
        ),
        ("reconstruction", "reconstruction.reconstruction", noise, {"fp32.max_error_over_scale": 10.0}, "psnr_db 96.4"),
    ],
)
def test_a_wrong_answer_fails(rig, bundle, graph, array, change, tolerances, problem):
    edit_golden(bundle, array, change)
    document = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    document["tolerances"] |= tolerances
    (bundle / "manifest.json").write_bytes(sealed(document))
    result = run(rig, bundle, "--graph", graph)
    assert (result.returncode, result.stderr) == (1, "")
    assert f"  fail: {problem}" in result.stdout
    assert " Hz: " not in result.stdout, "a wrong answer is not timed"


def test_wrong_codes_fail(rig, exports, tmp_path):
    path = shutil.copytree(exports.vqvae_fm3, tmp_path / "vqvae_fm3.daenr")
    edit_golden(path, "joint.codes", lambda codes: np.where(np.arange(len(codes)) == 0, codes.T + 1, codes.T).T)
    result = run(rig, path, "--graph", "joint", *CHECK_ONLY)
    assert result.returncode == 1
    assert "fail: code_agreement 0.833333, at least 0.99 expected" in result.stdout
    assert "reconstruction, 6 golden answers: error " in result.stdout, "the other images are still compared"


def append_a_byte(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def edit_manifest(path: Path, old: str, new: str, *, seal: bool = False) -> None:
    file = path / "manifest.json"
    text = file.read_text(encoding="utf-8")
    assert old in text
    text = text.replace(old, new)
    file.write_bytes(sealed(json.loads(text)) if seal else text.encode())


def edit_graph(path: Path, field: str, value: object) -> None:
    document = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    document["graphs"]["responses"][field] = value
    (path / "manifest.json").write_bytes(sealed(document))


def golden_of(path: Path) -> dict[str, np.ndarray]:
    with np.load(path / "golden.npz") as file:
        return {key: file[key] for key in file.files}


def without(arrays: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    return {key: array for key, array in arrays.items() if key != name}


FAULTS = {
    "graph changed": (
        lambda path: flip_a_byte(path / "graphs" / "responses.onnx"),
        "responses.onnx: was changed: its sha",
    ),
    "golden changed": (lambda path: flip_a_byte(path / "golden.npz"), "golden.npz: was changed: its sha256"),
    "golden missing": (lambda path: (path / "golden.npz").unlink(), "golden.npz: cannot be read (No such file"),
    "golden too long": (
        lambda path: append_a_byte(path / "golden.npz"),
        "golden.npz: is larger than",
    ),
    "golden cut": (
        lambda path: replace_file(path, "golden.npz", (path / "golden.npz").read_bytes()[:5000]),
        "golden.npz: ends too early",
    ),
    "golden empty": (lambda path: replace_file(path, "golden.npz", b""), "golden.npz: ends too early"),
    "golden compressed": (
        lambda path: replace_file(path, "golden.npz", npz(golden_of(path), zipfile.ZIP_DEFLATED)),
        "golden.npz: is compressed or streamed",
    ),
    "golden of other shape": (
        lambda path: edit_golden(path, "responses.responses", lambda array: array[:, :-1]),
        "holds responses.responses as {'descr': '<f4', 'fortran_order': False, 'shape': (6, 10), }, expected",
    ),
    "golden of other dtype": (
        lambda path: edit_golden(path, "image", lambda array: array.astype(np.float64)),
        "holds image as {'descr': '<f8'",
    ),
    "no golden answer": (
        lambda path: replace_file(path, "golden.npz", npz(without(golden_of(path), "responses.responses"))),
        "golden.npz: holds no responses.responses.npy",
    ),
    "not a graph": (
        lambda path: replace_file(path, "graphs/responses.onnx", b"not a graph"),
        "graph responses: cannot be opened (onnxruntime: ",
    ),
    "another graph": (
        lambda path: replace_file(path, "graphs/responses.onnx", (path / "graphs/readout.onnx").read_bytes()),
        "graph responses: cannot be opened (onnxruntime: ",
    ),
    "manifest missing": (lambda path: (path / "manifest.json").unlink(), "manifest.json: cannot be read"),
    "manifest edited": (lambda path: edit_manifest(path, '"cae-fr2"', '"cae-fr3"'), "manifest.json: was changed after"),
    "manifest cut": (lambda path: (path / "manifest.json").write_text("{"), "manifest.json: [json.exception.parse"),
    "later schema": (
        lambda path: edit_manifest(path, '"schema_version": 1', '"schema_version": 2', seal=True),
        "manifest.json: has schema version 2, and this program reads 1",
    ),
    "field missing": (
        lambda path: edit_manifest(path, '"fp32.flat"', '"fp32.round"', seal=True),
        "key 'fp32.flat' not found",
    ),
    "no outputs": (
        lambda path: edit_graph(path, "outputs", []),
        "graph responses: has no outputs, so nothing could be wrong",
    ),
    "size zero": (
        lambda path: edit_graph(path, "input", {"name": "image", "dtype": "float32", "shape": [1, 0, 32]}),
        "tensor image: has a shape that no graph of a bundle has",
    ),
    "sizes without bounds": (
        lambda path: edit_graph(path, "input", {"name": "image", "dtype": "float32", "shape": [2**62, 2**62]}),
        "tensor image: has a shape that no graph of a bundle has",
    ),
    "dtype unknown": (
        lambda path: edit_graph(path, "input", {"name": "image", "dtype": "float16", "shape": [1, 32, 32]}),
        "tensor image: is float16, which this example does not handle",
    ),
    "no golden images": (
        lambda path: edit_manifest(path, '"images": 6', '"images": 0', seal=True),
        "has no golden images, or too many",
    ),
    "golden header of noise": (
        lambda path: replace_file(
            path, "golden.npz", (path / "golden.npz").read_bytes().replace(b"'descr'", b"\n\xff\x1b[1m\x00")
        ),
        "holds image as {??",
    ),
    "path out of the bundle": (
        lambda path: edit_manifest(path, "graphs/responses.onnx", "../responses.onnx", seal=True),
        "does not list the file '../responses.onnx'",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_unusable_bundle_is_refused_in_one_line(rig, bundle, fault):
    damage, expected = FAULTS[fault]
    damage(bundle)
    refuses(run(rig, bundle, *CHECK_ONLY), expected)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "BUNDLE: is missing; see rig --help"),
        (("nowhere",), "manifest.json: cannot be read"),
        (("--speed", "3"), "--speed: is not an option"),
        (("x", "y"), "y: is not an option"),
        (("x", "--rate"), "--rate: lacks its value"),
        (("x", "--rate", "fast"), "--rate: is 'fast'; give a number from 0.1"),
        (("x", "--rate", "nan"), "--rate: is 'nan'"),
        (("x", "--rate", "0"), "--rate: is '0'"),
        (("x", "--seconds", "-1"), "--seconds: is '-1'"),
    ],
)
def test_unusable_arguments_are_refused_in_one_line(rig, arguments, expected):
    refuses(run(rig, *arguments), expected)


def test_an_unknown_graph_is_refused_with_those_that_are_there(rig, bundle):
    expected = "has no graph 'response', only decoder, encoder, joint, readout, reconstruction, responses; choose"
    refuses(run(rig, bundle, "--graph", "response"), expected)


def refuses(result: subprocess.CompletedProcess[str], expected: str) -> None:
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("rig: ")
    assert expected in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("--seconds", "0.7", "--p99-ms", "1000000"), 0, "700 frames at 1000 Hz: p50 "),
        (("--seconds", "0.7", "--p99-ms", "0.001"), 1, ", p99 "),
        (("--seconds", "0.66", "--p99-ms", "1000000"), 3, "p99 too few frames"),
        (
            ("--seconds", "0.01", "--deadline-ms", "0.001"),
            0,
            "p50 too few frames, p99 too few frames, 10 later than 0.001",
        ),
        (("--seconds", "0.1", "--deadline-ms", "1000000"), 0, ", 0 later than 1e+06 ms"),
    ],
)
def test_the_loop_counts_its_frames_and_judges_them_only_if_asked(rig, exports, arguments, code, expected):
    result = run(rig, exports.cae_fr2, "--rate", "1000", *arguments)
    assert (result.returncode, result.stderr) == (code, "")
    assert expected in result.stdout


def test_the_loop_keeps_to_its_schedule(rig, exports):
    """25 frames at 50 Hz take half a second, however fast each is answered."""
    start = time.monotonic()
    assert run(rig, exports.cae_fr2, "--rate", "50", "--seconds", "0.5").returncode == 0
    assert time.monotonic() - start >= 0.5


def test_it_builds_with_cmake(exports, tmp_path):
    if shutil.which("cmake") is None:
        pytest.skip("no cmake")
    variables = cpp_program.environment(tmp_path / "library")
    line = (
        cpp_program.command("cmake")
        .replace("-B build", f"-B '{tmp_path}'")
        .replace("--build build", f"--build '{tmp_path}'")
    )
    built = subprocess.run(
        ["bash", "-euc", line], cwd=cpp_program.ROOT, env=variables, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    assert run(tmp_path / "rig", exports.cae_fr2, *CHECK_ONLY).returncode == 0
