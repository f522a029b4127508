"""The C interface: what a library says of itself, what it refuses, and that it can test itself."""

from __future__ import annotations

import re
import shutil
import struct
import threading

import binaries
import native_graphs
import numpy as np
import onnx
import pytest
from native_library import (
    ALL_SETS,
    BAD_STATE,
    BATCH_OUT_OF_RANGE,
    DAMAGED_WEIGHTS,
    DONE,
    WRONG_ANSWERS,
    CGraph,
    CTensor,
    Loaded,
    compile_graph,
)
from onnx import numpy_helper

from daenr_common import extras
from daenr_common.errors import DaenrError, ExportError
from daenr_common.hashing import sha256_of
from daenr_export.native import TARGETS, compiling, make_library, native_target
from daenr_export.native.writing.library import kernel_source

EXPORTS = {"daenr_describe", "daenr_instruction_set", "daenr_run", "daenr_self_test"}


@pytest.fixture(scope="module")
def content() -> bytes:
    return native_graphs.autoencoder()


@pytest.fixture(scope="module")
def path(content, tmp_path_factory):
    return compile_graph(content, tmp_path_factory.mktemp("library"), max_batch=9)


def test_it_describes_its_graph(content, path):
    graph = Loaded(path).graph
    assert (graph.abi, graph.n_outputs, graph.max_batch) == (1, 2, 9)
    assert (graph.name, graph.precision, graph.target) == (b"test", b"fp32", native_target().encode())
    assert graph.source.decode() == sha256_of(content)
    assert (graph.input.name, graph.input.dtype, graph.input.shape) == (b"image", 1, (1, 32, 32))
    assert list(graph.input.dims) == [1, 32, 32, 0]
    assert [(t.name, t.dtype, t.shape) for t in graph.outputs[:2]] == [
        (b"first", 1, (11,)),
        (b"second", 1, (1, 32, 32)),
    ]


def test_the_header_is_what_the_tests_and_the_library_go_by(path):
    header = re.sub(r"/\*.*?\*/", "", kernel_source("daenr_native.h").decode(), flags=re.DOTALL)
    fields = {
        name: re.findall(r"(\w+)(?:\[\d\])?;", body)
        for body, name in re.findall(r"typedef struct \w+ \{(.*?)\} (\w+);", header, re.DOTALL)
    }
    assert fields["daenr_tensor"] == [name for name, _ in CTensor._fields_]
    assert fields["daenr_graph"] == [name for name, _ in CGraph._fields_]
    assert set(re.findall(r"DAENR_API .*?(daenr_\w+)\(", header)) == EXPORTS


@pytest.mark.parametrize("count", [0, -1, 10, 2**40])
def test_batches_out_of_range_are_refused_and_nothing_is_written(content, path, count):
    code, outputs = Loaded(path).call(native_graphs.images(content, 1), count=count)
    assert code == BATCH_OUT_OF_RANGE
    assert all((output == 77).all() for output in outputs)


def test_a_state_that_is_missing_or_misaligned_is_refused(content, path):
    loaded, batch = Loaded(path), native_graphs.images(content, 1)
    for state in (0, loaded.state + 4):
        code, outputs = loaded.call(batch, state=state)
        assert code == BAD_STATE
        assert all((output == 77).all() for output in outputs)
    assert loaded.library.daenr_self_test(None, None) == BAD_STATE


def test_it_writes_its_outputs_and_its_state_and_nothing_else(content, path):
    loaded = Loaded(path)
    start = loaded.state - loaded.memory.ctypes.data
    for count in (1, 9):
        batch = native_graphs.images(content, count)
        loaded.memory[:] = 171
        before = batch.copy()
        assert loaded.call(batch)[0] == DONE
        assert loaded.self_test()[0] == DONE
        assert (loaded.memory[:start] == 171).all()
        assert (loaded.memory[start + loaded.graph.state_bytes :] == 171).all()
        np.testing.assert_array_equal(batch, before)


def test_what_the_state_held_does_not_matter(content, path):
    loaded, batch = Loaded(path), native_graphs.images(content, 9)
    answers = []
    for fill in (0, 255, 171):
        loaded.memory[:] = fill
        answers.append(loaded.run(batch))
    for other in answers[1:]:
        for a, b in zip(answers[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_threads_run_side_by_side(content, path):
    batches = [native_graphs.images(content, 9, seed=seed) for seed in range(2)]
    expected = [Loaded(path).run(batch) for batch in batches]
    wrong: list[int] = []

    def answer(index: int) -> None:
        loaded = Loaded(path)
        for _ in range(200):
            for a, b in zip(loaded.run(batches[index]), expected[index], strict=True):
                if not np.array_equal(a, b):
                    wrong.append(index)

    threads = [threading.Thread(target=answer, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_self_test_passes(path):
    code, worst = Loaded(path).self_test()
    assert code == DONE
    assert 0 < worst < 1e-5


def test_the_self_test_sees_one_damaged_bit_of_a_weight(content, path, tmp_path):
    weights = [numpy_helper.to_array(t) for t in onnx.load_from_string(content).graph.initializer]
    bias = next(array for array in weights if array.shape == (32,))
    library = path.read_bytes()
    assert library.count(bias.tobytes()) == 1
    at = library.index(bias.tobytes()) + 40
    copy = tmp_path / f"damaged{path.suffix}"
    copy.write_bytes(library[:at] + bytes([library[at] ^ 1]) + library[at + 1 :])
    assert Loaded(copy).self_test()[0] == DAMAGED_WEIGHTS


def test_the_self_test_sees_wrong_answers(content, tmp_path):
    answers = native_graphs.reference(content, native_graphs.images(content, 1))
    answers[1][0, 0, 5, 5] += 1e-3
    loaded = Loaded(compile_graph(content, tmp_path, answers=answers, instruction_sets=ALL_SETS[-1:]))
    code, worst = loaded.self_test()
    assert code == WRONG_ANSWERS
    assert 5e-4 < worst < 2e-3


def test_the_self_test_sees_another_code(tmp_path):
    g = native_graphs.GraphBuilder(4, 2, 2)
    content = g.build(*g.quantise("image", 8))
    answers = native_graphs.reference(content, native_graphs.images(content, 1))
    answers[0][0, 1, 1] += 1
    assert Loaded(compile_graph(content, tmp_path, answers=answers)).self_test()[0] == WRONG_ANSWERS


def test_pixels_and_small_batches(tmp_path):
    g = native_graphs.GraphBuilder(1, 9, 7, dtype="uint8")
    content = g.build(g.activate(g.conv(g.pixels("image"), 5), "Elu"))
    loaded = Loaded(compile_graph(content, tmp_path, max_batch=3))
    assert loaded.graph.input.dtype == 2
    batch = native_graphs.images(content, 3)
    np.testing.assert_allclose(loaded.run(batch)[0], native_graphs.reference(content, batch)[0], atol=1e-5)


def test_the_same_graph_gives_the_same_bytes(content, path, tmp_path):
    again = compile_graph(content, tmp_path, max_batch=9)
    assert again.read_bytes() == path.read_bytes()


def test_it_needs_nothing_and_shows_four_functions(path):
    if path.suffix != ".so":
        pytest.skip("reads ELF")
    elf = binaries.Elf(path.read_bytes())
    assert set(elf.exports()) == EXPORTS
    assert elf.needed() == elf.imports() == []
    assert str(path.parent).encode() not in path.read_bytes()


@pytest.mark.parametrize("target", [name for name in TARGETS if name != native_target()])
def test_other_targets_are_linked_with_the_four_functions(content, tmp_path, target):
    made = compile_graph(content, tmp_path, target=target)
    library = made.read_bytes()
    assert target.encode() in library
    if target.endswith("windows"):
        pe = binaries.Pe(library)
        assert pe.machine == {"x86_64": 0x8664, "aarch64": 0xAA64}[target.partition("-")[0]]
        assert set(pe.exports()) == EXPORTS
        assert pe.name() == made.name
        assert pe.imports() == []
    elif target.endswith("linux"):
        elf = binaries.Elf(library)
        assert elf.machine == {"x86_64": 62, "aarch64": 183}[target.partition("-")[0]]
        assert set(elf.exports()) == EXPORTS
        assert elf.needed() == elf.imports() == []
    else:
        assert struct.unpack("<I", library[:4]) == (0xFEEDFACF,)
        assert all(f"_{name}\0".encode() in library for name in EXPORTS)


def test_bad_arguments_are_refused_and_nothing_is_written(content, tmp_path):
    golden = native_graphs.images(content, 2)
    first, second = native_graphs.reference(content, golden)
    good = {
        "graph_name": "test",
        "precision": "fp32",
        "target": native_target(),
        "golden_input": golden,
        "golden_outputs": {"first": first, "second": second},
        "max_batch": 4,
        "destination": tmp_path / "graph.so",
    }
    for change, problem in [
        (
            {"target": "sparc-solaris"},
            "target sparc-solaris: is none that native code is made for; choose one of x86_64-",
        ),
        ({"precision": "fp8"}, "precision fp8: is none of native code; choose one of fp32"),
        ({"max_batch": 1}, "golden images: are 2, expected 1 to 1"),
        ({"golden_outputs": {"first": first}}, "golden images: have the shapes"),
        ({"golden_input": golden[:, :, 1:]}, "golden images: have the shapes"),
        ({"instruction_sets": ("mmx",)}, f"target {native_target()}: has the instruction sets"),
    ]:
        with pytest.raises(DaenrError, match=re.escape(problem)):
            make_library(content, **(good | change))
    assert list(tmp_path.iterdir()) == []


def test_a_compiler_that_fails_names_its_message_and_leaves_nothing(content, tmp_path):
    with pytest.raises(ExportError) as caught:
        compile_graph(content, tmp_path, options=("-Dload=",))
    message = str(caught.value)
    assert message.startswith("C compiler: failed (")
    assert "error: " in message
    assert "\n" not in message
    assert message.endswith("; reinstall it: pip install --force-reinstall ziglang")
    assert list(tmp_path.iterdir()) == []


def test_a_compiler_that_does_not_start_is_one_line(content, tmp_path, monkeypatch):
    monkeypatch.setattr(compiling.sys, "executable", str(tmp_path / "no" / "python"))
    with pytest.raises(ExportError, match=r"^C compiler: does not run \(.*No such file.*\); reinstall it"):
        compile_graph(content, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_compiler_that_is_not_installed_names_the_extra(content, tmp_path, monkeypatch):
    present = extras.is_installed
    monkeypatch.setattr(extras, "is_installed", lambda module: module != "ziglang" and present(module))
    with pytest.raises(DaenrError, match=r"^ziglang: is needed for compiling native code .*daenr\[native\]"):
        compile_graph(content, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_or_a_file_in_the_way_is_one_line(content, tmp_path):
    folder = tmp_path / "graph_1.so"
    folder.mkdir()
    with pytest.raises(DaenrError, match="cannot be written"):
        compile_graph(content, tmp_path, instruction_sets=ALL_SETS[-1:])
    shutil.rmtree(folder)
    assert list(tmp_path.iterdir()) == []
