"""Compiled C as a backend: what it answers, and what it refuses to load."""

from __future__ import annotations

import ctypes
import re
import sys
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from daenr_common.errors import BackendUnavailableError
from daenr_export.bundle import Bundle
from daenr_export.bundle.reader import BundledGraph
from daenr_export.exporting.natives import header
from daenr_export.native import make_library, native_target
from daenr_export.runtime.backends import native_library
from daenr_export.runtime.backends.native import NativeBackend
from daenr_export.runtime.backends.native_library import load_library
from daenr_export.runtime.backends.onnxruntime import OnnxRuntimeBackend
from daenr_export.runtime.protocol import Session
from daenr_export.specs import GraphSpec
from daenr_export.verification.runs import OnnxGraph

pytest.importorskip("ziglang")


class GraphWithLibrary:
    """A graph of a bundle, with the library that the test wants."""

    cache_folder = None

    def __init__(self, graph: BundledGraph, library: bytes = b"") -> None:
        self.spec, self.onnx, self.onnx_sha256 = graph.spec, graph.onnx, graph.onnx_sha256
        self.library = library

    def engine(self, flavour: str) -> bytes:
        raise AssertionError("the backend runs libraries")

    def native(self, target: str) -> bytes:
        assert target == native_target()
        return self.library


@pytest.fixture(scope="module")
def bundle(shared_export) -> Bundle:
    return Bundle.open(shared_export.bundle)


@pytest.fixture(scope="module")
def library_of(bundle, tmp_path_factory):
    """Compile a graph of a cae-fr2, quickly."""
    folder = tmp_path_factory.mktemp("native")
    made: dict[tuple[str, str], bytes] = {}

    def compiled(name: str, calls_itself: str = "") -> bytes:
        if (name, calls_itself) not in made:
            graph = GraphWithLibrary(bundle.graph(name))
            inputs = batch_of(graph.spec, 2)
            answers = reference(graph, inputs)
            library = make_library(
                graph.onnx(),
                graph_name=calls_itself or name,
                precision="fp32",
                target=native_target(),
                golden_input=inputs,
                golden_outputs=answers,
                max_batch=graph.spec.batch.max,
                destination=folder / f"{name}.so",
                compiler_options=("-O1",),
            )
            made[name, calls_itself] = library.path.read_bytes()
        return made[name, calls_itself]

    return compiled


@pytest.fixture(scope="module")
def graph_of(bundle, library_of):
    """A graph with its library."""
    return lambda name: GraphWithLibrary(bundle.graph(name), library_of(name))


def batch_of(spec: GraphSpec, size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (size, *spec.input.shape)).astype(spec.input.numpy_dtype)


def reference(graph: GraphWithLibrary, batch: np.ndarray) -> dict[str, np.ndarray]:
    with OnnxRuntimeBackend().open(OnnxGraph(graph.spec, graph.onnx(), "fp32")) as session:
        return dict(zip((output.name for output in graph.spec.outputs), session.run(batch), strict=True))


@pytest.mark.parametrize("name", ["encoder", "readout", "responses"])
def test_answers_are_those_of_onnxruntime(graph_of, name) -> None:
    graph = graph_of(name)
    with NativeBackend().open(graph) as session:
        assert isinstance(session, Session)
        for size in (1, 2, graph.spec.batch.max, 3):
            batch = batch_of(graph.spec, size, seed=size)
            expected = reference(graph, batch)
            standing = session.bind(size)
            standing.input[:] = batch
            standing.run()
            for answer, bound, (output, right) in zip(
                session.run(batch), standing.outputs, expected.items(), strict=True
            ):
                scale = np.abs(right).max()
                assert np.abs(answer - right).max() <= 1e-5 * scale, output
                assert np.array_equal(answer, bound)


def test_two_sessions_in_two_threads_answer_as_one(graph_of) -> None:
    graph = graph_of("responses")
    batches = [batch_of(graph.spec, 1, seed) for seed in range(2)]
    expected = [NativeBackend().open(graph).run(batch)[0] for batch in batches]
    wrong: list[int] = []

    def answer(index: int) -> None:
        with NativeBackend().open(graph) as session:
            for _ in range(2000):
                if not np.array_equal(session.run(batches[index])[0], expected[index]):
                    wrong.append(index)

    threads = [threading.Thread(target=answer, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_batch_of_another_shape_or_size_is_an_error_and_not_a_crash(graph_of) -> None:
    graph = graph_of("responses")
    with NativeBackend().open(graph) as session:
        good = batch_of(graph.spec, 1)
        for bad in (good[:, :, :16], good.astype(np.float64), batch_of(graph.spec, graph.spec.batch.max + 1), good[:0]):
            with pytest.raises(Exception, match="native session of the graph responses: could not answer a batch"):
                session.run(bad)
        assert session.run(good)


@pytest.fixture
def refused(bundle):
    """What opening a graph with a library is refused with."""

    def refused(library: bytes, name: str = "responses") -> str:
        with pytest.raises(BackendUnavailableError) as caught:
            NativeBackend().open(GraphWithLibrary(bundle.graph(name), library))
        return str(caught.value)

    return refused


def test_what_is_no_library_is_refused(refused) -> None:
    assert "native library of the graph responses: cannot be loaded" in refused(b"not a library")


def test_a_library_of_another_graph_is_refused(library_of, refused) -> None:
    assert "was made from another ONNX graph than the one beside it" in refused(library_of("encoder"))
    assert "takes and gives other tensors than the manifest says" in refused(library_of("responses", "joint"))


def test_a_library_of_another_interface_is_refused(library_of, refused, monkeypatch) -> None:
    monkeypatch.setattr(native_library, "ABI", 2)
    monkeypatch.setattr(native_library, "_LOADED", {})
    assert "speaks version 1 of the interface, and this daenr speaks 2; export the bundle again" in refused(
        library_of("responses")
    )


def test_a_library_whose_weights_were_changed_is_refused(bundle, library_of, refused) -> None:
    """A bundle's hash finds it first; the library finds it, too, wherever it was copied to."""
    model = onnx.load_from_string(bundle.graph("responses").onnx())
    arrays = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    (bias,) = [array for array in arrays if array.shape == (32,)]  # of the first stage
    damaged = bytearray(library_of("responses"))
    place = damaged.index(bias[:8].tobytes())
    damaged[place] ^= 1
    assert "answers its built-in images wrongly here" in refused(bytes(damaged))


def test_a_larger_batch_than_it_was_made_for_is_refused(graph_of) -> None:
    graph = graph_of("responses")
    graph.spec = graph.spec._replace(batch=graph.spec.batch._replace(max=graph.spec.batch.max + 1))
    with pytest.raises(BackendUnavailableError, match="takes batches of up to 64, and the manifest says 65"):
        NativeBackend().open(graph)


def test_the_same_bytes_are_loaded_once(library_of) -> None:
    first, again = (load_library(library_of("encoder"), "encoder") for _ in range(2))
    assert first is again
    assert load_library(library_of("responses"), "responses") is not first


def test_the_header_says_the_interface_that_is_spoken() -> None:
    text = header().decode()
    assert re.search(r"#define DAENR_NATIVE_ABI (\d+)", text).group(1) == str(native_library.ABI)
    for structure, name in ((native_library._Tensor, "daenr_tensor"), (native_library._Graph, "daenr_graph")):
        body = re.search(rf"typedef struct {name} {{(.*?)}} {name};", text, re.DOTALL).group(1)
        fields = re.findall(r"(\w+)(?:\[\d\])?;", re.sub(r"/\*.*?\*/", "", body))
        assert fields == [field for field, _ in structure._fields_]
    assert ctypes.sizeof(native_library._Tensor) == 48


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere libraries are loaded from a private folder")
def test_a_library_is_loaded_from_memory_that_nobody_can_change(library_of) -> None:
    load_library(library_of("responses"), "responses")
    assert "/memfd:daenr-native" in Path("/proc/self/maps").read_text(encoding="ascii", errors="replace")
