"""The CPU backends answer as the reference evaluator does, and fail in one line of daenr's own errors."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import bundle_factory as factory
import numpy as np
import pytest

from daenr_common import extras
from daenr_common.errors import BackendUnavailableError, DaenrError
from daenr_export.bundle import Bundle
from daenr_export.runtime.backends import openvino
from daenr_export.runtime.backends.onnxruntime import OnnxRuntimeBackend
from daenr_export.runtime.backends.openvino import OpenVinoBackend
from daenr_export.runtime.protocol import Backend, Session
from daenr_export.specs import GraphSpec

BACKENDS: dict[str, type[OnnxRuntimeBackend] | type[OpenVinoBackend]] = {
    "onnxruntime": OnnxRuntimeBackend,
    "openvino": OpenVinoBackend,
}


@pytest.fixture(params=sorted(BACKENDS))
def backend(request: pytest.FixtureRequest) -> Backend:
    pytest.importorskip(request.param)
    return BACKENDS[request.param]()


class OneGraph:
    """A graph that is in no bundle."""

    def __init__(self, spec: GraphSpec, content: bytes) -> None:
        self.spec = spec
        self.cache_folder = None
        self._content = content

    def onnx(self) -> bytes:
        return self._content

    def engine(self, flavour: str) -> bytes:
        raise BackendUnavailableError(flavour, "holds no engine", "none")


def graph_of(name: str, pixels: str = "float32") -> OneGraph:
    entry = factory.graph_entry(name, pixels)
    return OneGraph(GraphSpec(name, entry.input, entry.outputs, entry.batch), factory.onnx_graph(name, pixels))


@pytest.mark.parametrize("name", factory.GRAPHS)
def test_answers_match_the_reference(backend: Backend, shared_tiny_bundle: Path, name: str) -> None:
    graph = Bundle.open(shared_tiny_bundle).graph(name)
    with backend.open(graph) as session:
        assert isinstance(session, Session)
        assert session.spec == graph.spec
        for size in (1, 2, 7, 1, 8):
            rng = np.random.default_rng(size)
            batch = rng.uniform(-1, 1, (size, *graph.spec.input.shape)).astype(np.float32)
            answers = session.run(batch)
            expected = factory.reference(name, batch)
            assert isinstance(answers, tuple)
            for output, answer in zip(graph.spec.outputs, answers, strict=True):
                assert answer.dtype == output.numpy_dtype
                assert answer.shape == (size, *output.shape)
                np.testing.assert_allclose(answer, expected[output.name], rtol=1e-4, atol=1e-5)


def test_pixels_may_be_uint8(backend: Backend) -> None:
    images = factory.some_images(3, pixels="uint8")
    with backend.open(graph_of("responses", "uint8")) as session:
        expected = factory.reference("responses", images, "uint8")["responses"]
        np.testing.assert_allclose(session.run(images)[0], expected, rtol=1e-4, atol=1e-5)


def test_answers_belong_to_the_caller(backend: Backend) -> None:
    with backend.open(graph_of("joint")) as session:
        images = factory.some_images(2)
        first = session.run(images)
        kept = [array.copy() for array in first]
        session.run(-images)
        for array, copy in zip(first, kept, strict=True):
            np.testing.assert_array_equal(array, copy)
            array += 1  # may be written to
    for array, copy in zip(first, kept, strict=True):
        np.testing.assert_array_equal(array, copy + 1)


def test_a_read_only_image_is_taken_and_left_alone(backend: Backend) -> None:
    images = factory.some_images(2)
    images.flags.writeable = False
    before = images.copy()
    with backend.open(graph_of("responses")) as session:
        session.run(images)
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("name", factory.GRAPHS)
def test_bound_buffers_hold_what_run_answers(backend: Backend, shared_tiny_bundle: Path, name: str) -> None:
    graph = Bundle.open(shared_tiny_bundle).graph(name)
    with backend.open(graph) as session:
        for size in (1, 3):
            bound = session.bind(size)
            addresses = [array.ctypes.data for array in (bound.input, *bound.outputs)]
            for seed in range(3):
                batch = np.random.default_rng(seed).uniform(-1, 1, bound.input.shape).astype(np.float32)
                bound.input[:] = batch
                bound.run()
                for standing, answer in zip(bound.outputs, session.run(batch), strict=True):
                    np.testing.assert_array_equal(standing, answer)
            assert addresses == [array.ctypes.data for array in (bound.input, *bound.outputs)]
    with pytest.raises(DaenrError, match="is closed"):
        session.bind(1)


def test_closing_twice_is_allowed_and_use_after_it_is_said(backend: Backend) -> None:
    session = backend.open(graph_of("responses"))
    session.run(factory.some_images(1))
    session.close()
    session.close()
    with pytest.raises(DaenrError, match=r"session of the graph responses: is closed; open the graph again"):
        session.run(factory.some_images(1))


def test_a_batch_that_the_library_refuses_is_one_line(backend: Backend, capfd: pytest.CaptureFixture[str]) -> None:
    with backend.open(graph_of("responses")) as session:
        for batch in (np.zeros((1, 1, 32, 32)), np.zeros((1, 2, 32, 32), np.float32)):
            with pytest.raises(DaenrError, match=r"could not answer a batch of float") as caught:
                session.run(batch)
            assert "\n" not in str(caught.value)
        np.testing.assert_allclose(
            session.run(factory.some_images(1))[0],
            factory.reference("responses", factory.some_images(1))["responses"],
            rtol=1e-4,
        )
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("content", [b"", b"not onnx", factory.onnx_graph("encoder")[:-500]])
def test_a_graph_that_does_not_parse_is_one_line(
    backend: Backend, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BackendUnavailableError, match=r"does not open the graph encoder") as caught:
        backend.open(OneGraph(graph_of("encoder").spec, content))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_graph_with_other_tensors_than_its_specification_is_refused(backend: Backend) -> None:
    graph = graph_of("joint")
    swapped = graph.spec._replace(outputs=graph.spec.outputs[::-1])
    with pytest.raises(BackendUnavailableError, match=r"the manifest says \['codes', 'reconstruction', 'responses'\]"):
        backend.open(OneGraph(swapped, graph.onnx()))
    renamed = graph.spec._replace(input=graph.spec.input._replace(name="picture"))
    with pytest.raises(BackendUnavailableError, match=r"the manifest says \['picture'\]"):
        backend.open(OneGraph(renamed, graph.onnx()))


def test_a_backend_that_is_not_installed_names_the_extra(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None)
    extra = {"onnxruntime": "cpu", "openvino": "openvino"}[backend.name]
    reason = backend.why_unavailable()
    assert reason is not None
    assert f"pip install 'daenr[{extra}]'" in reason
    with pytest.raises(BackendUnavailableError, match=rf"daenr\[{extra}\]"):
        backend.open(graph_of("responses"))


def test_threads_and_spinning_reach_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    seen = []
    session = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda *args, **kwargs: seen.append(args[1]) or session(*args, **kwargs)
    )
    OnnxRuntimeBackend().open(graph_of("responses")).close()
    OnnxRuntimeBackend(threads=2, spinning=True).open(graph_of("responses")).close()
    assert [options.intra_op_num_threads for options in seen] == [1, 2]
    assert [options.get_session_config_entry("session.intra_op.allow_spinning") for options in seen] == ["0", "1"]


def test_openvino_computes_in_the_precision_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    compiled = SimpleNamespace(get_property=lambda name: SimpleNamespace(to_string=lambda: "f32"))
    core = SimpleNamespace(read_model=lambda content: None, compile_model=lambda *args: compiled)
    monkeypatch.setattr(OpenVinoBackend, "_library", lambda self: SimpleNamespace(Core=lambda: core))
    monkeypatch.setattr(openvino, "_CORES", [])
    with pytest.raises(BackendUnavailableError, match="was asked for bf16 and would compute in f32"):
        OpenVinoBackend(precision="bf16").open(graph_of("responses"))


CLOSED_IN_A_THREAD = """
    import faulthandler, signal, sys, threading
    import numpy as np
    import daenr_export

    faulthandler.enable()  # as pytest does: from now on there is a stack for signals
    model = daenr_export.load(sys.argv[1], backend=sys.argv[2])
    model.responses(np.zeros((1, 1, 32, 32), np.float32))
    models = [model]
    del model
    thread = threading.Thread(target=lambda: models.pop().close())
    thread.start()
    thread.join()
    signal.signal(signal.SIGINT, lambda *_: print("interrupted"))
    signal.raise_signal(signal.SIGINT)
"""


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_a_process_survives_ctrl_c_after_its_engine_was_closed_in_a_thread(shared_tiny_bundle: Path, name: str) -> None:
    """OpenVINO unmapped the stack on which the main thread handles signals."""
    pytest.importorskip(name)
    command = [sys.executable, "-c", textwrap.dedent(CLOSED_IN_A_THREAD), str(shared_tiny_bundle), name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
