"""A bundle as a model: its six questions, its sessions, and the little that it adds to the backend's time."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import bundle_factory as factory
import numpy as np
import pytest

import daenr_export
from daenr_common.errors import BackendUnavailableError, BundleError, DaenrError, ImageError
from daenr_export.bundle import Bundle
from daenr_export.runtime.backends.onnxruntime import OnnxRuntimeBackend
from daenr_export.runtime.model import Model
from daenr_export.runtime.protocol import GraphSource, Session
from daenr_export.specs import BatchRange

IMAGES = factory.some_images(3)


class Counting:
    """onnxruntime, counting how often it opens a graph."""

    name = "counting"

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.sessions: list[Session] = []

    def why_unavailable(self) -> str | None:
        return None

    def open(self, graph: GraphSource) -> Session:
        self.opened.append(graph.spec.name)
        self.sessions.append(OnnxRuntimeBackend().open(graph))
        return self.sessions[-1]


@pytest.fixture(params=["onnxruntime", "openvino", "auto"])
def model(request: pytest.FixtureRequest, shared_tiny_bundle: Path) -> Model:
    if request.param != "auto":
        pytest.importorskip(request.param)
    with daenr_export.load(shared_tiny_bundle, backend=request.param) as model:
        yield model


def assert_close(actual: np.ndarray, expected: np.ndarray) -> None:
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_the_six_questions(model: Model) -> None:
    joint = factory.reference("joint", IMAGES)
    features = model.encode(IMAGES)
    assert_close(features, factory.reference("encoder", IMAGES)["features"])
    assert_close(model.responses(IMAGES), joint["responses"])
    assert_close(model.read_out(features), joint["responses"])
    assert_close(model.reconstruct(IMAGES), joint["reconstruction"])
    assert_close(model.decode(features), joint["reconstruction"])
    responses, reconstruction = model.joint(IMAGES)
    assert_close(responses, joint["responses"])
    assert_close(reconstruction, joint["reconstruction"])


def test_run_returns_all_outputs_by_name(model: Model) -> None:
    outputs = model.run("joint", IMAGES)
    assert list(outputs) == ["responses", "reconstruction", "codes"]
    np.testing.assert_array_equal(outputs["codes"], factory.reference("joint", IMAGES)["codes"])
    assert outputs["codes"].dtype == np.int64


def test_what_a_model_says_about_itself(model: Model) -> None:
    assert model.neuron_ids == tuple(f"unit-{index}" for index in range(factory.NEURONS))
    assert model.manifest.model.name == "vqvae-fr1"
    assert sorted(model.graphs) == sorted(factory.GRAPHS)
    assert model.graphs["joint"].input.shape == (1, 32, 32)
    assert model.batch == BatchRange(1, 1, 8)
    assert model.backend in {"onnxruntime", "openvino", "tensorrt", "tensorrt-rtx"}


def test_images_are_checked_on_every_call(model: Model) -> None:
    for ask in (model.responses, model.reconstruct, model.encode, model.joint):
        ask(IMAGES)
        for wrong in (IMAGES[0], IMAGES.astype(float), IMAGES * 255, np.full_like(IMAGES, np.nan)):
            with pytest.raises(ImageError):
                ask(wrong)
        with pytest.raises(ImageError, match="is a batch of 9"):
            ask(np.zeros((9, 1, 32, 32), np.float32))
    for ask in (model.decode, model.read_out):
        with pytest.raises(ImageError, match="features for the graph"):
            ask(IMAGES)
    with pytest.raises(ImageError):
        model.run("joint", IMAGES[0])


def test_a_model_answers_itself_whatever_the_layout_of_the_image(model: Model) -> None:
    np.testing.assert_array_equal(model.responses(np.asfortranarray(IMAGES)), model.responses(IMAGES))


def test_a_bundle_for_pixels_takes_pixels(tmp_path: Path) -> None:
    pixels = factory.some_images(2, pixels="uint8")
    with daenr_export.load(factory.make_bundle(tmp_path / "a.daenr", pixels="uint8"), backend="onnxruntime") as model:
        assert_close(model.responses(pixels), factory.reference("responses", pixels, "uint8")["responses"])
        with pytest.raises(ImageError, match="is float32, expected uint8"):
            model.responses(IMAGES)


def test_the_golden_images_give_the_golden_answers(shared_tiny_bundle: Path) -> None:
    golden = Bundle.open(shared_tiny_bundle).golden()
    with daenr_export.load(shared_tiny_bundle, backend="onnxruntime") as model:
        assert_close(model.responses(golden["image"]), golden["responses.responses"])


def test_a_missing_part_is_said_with_what_there_is(tmp_path: Path) -> None:
    path = factory.make_bundle(tmp_path / "a.daenr", graphs=["encoder", "decoder", "reconstruction"])
    with daenr_export.load(path, backend="onnxruntime") as model:
        assert model.reconstruct(IMAGES).shape == IMAGES.shape
        with pytest.raises(BundleError, match="has no graph 'responses', only decoder, encoder, reconstruction"):
            model.responses(IMAGES)
        with pytest.raises(BundleError, match="has no graph 'joint'"):
            model.joint(IMAGES)
    with daenr_export.load(path) as model:
        assert model.encode(IMAGES).shape == (3, 4, 8, 8)


def test_graphs_are_opened_once_and_when_used(shared_tiny_bundle: Path) -> None:
    backend = Counting()
    with daenr_export.load(shared_tiny_bundle, backend=backend) as model:
        assert backend.opened == []
        for _ in range(3):
            model.responses(IMAGES)
        model.reconstruct(IMAGES)
        assert backend.opened == ["responses", "reconstruction"]
        model.warm_up(["responses", "joint"])
        assert backend.opened == ["responses", "reconstruction", "joint"]
        model.warm_up()
        assert sorted(backend.opened) == sorted(factory.GRAPHS)


def test_two_threads_open_a_graph_once(shared_tiny_bundle: Path) -> None:
    backend = Counting()
    with daenr_export.load(shared_tiny_bundle, backend=backend) as model:
        threads = [threading.Thread(target=model.responses, args=(IMAGES,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert backend.opened == ["responses"]


def test_a_closed_model_says_so_and_its_sessions_are_closed(shared_tiny_bundle: Path) -> None:
    backend = Counting()
    model = daenr_export.load(shared_tiny_bundle, backend=backend)
    model.responses(IMAGES)
    model.close()
    model.close()
    for use in (model.responses, model.encode, model.joint):
        with pytest.raises(DaenrError, match="is a model that was closed; load the bundle again"):
            use(IMAGES)
    with pytest.raises(DaenrError, match="is closed"):
        backend.sessions[0].run(IMAGES)


def test_a_damaged_bundle_is_refused_before_a_backend_is_looked_for(tiny_bundle: Path) -> None:
    (tiny_bundle / "graphs/joint.onnx").write_bytes(b"")
    with pytest.raises(BundleError, match=r"joint\.onnx"):
        daenr_export.load(tiny_bundle, backend="no such backend")
    with pytest.raises(BackendUnavailableError, match="no such backend"):
        daenr_export.load(factory.make_bundle(tiny_bundle.parent / "b.daenr"), backend="no such backend")


@pytest.mark.parametrize("backend", ["auto", "onnxruntime", "openvino"])
def test_a_graph_that_was_changed_is_an_error_and_no_reason_to_take_another_backend(
    tiny_bundle: Path, backend: str
) -> None:
    file = tiny_bundle / "graphs/responses.onnx"
    file.write_bytes(file.read_bytes()[::-1])
    with pytest.raises(BundleError, match=r"responses\.onnx: was changed"):
        daenr_export.load(tiny_bundle, backend).responses(IMAGES)


def test_a_changed_file_is_of_no_account_to_a_model_that_does_not_use_it(tiny_bundle: Path) -> None:
    expected = daenr_export.load(tiny_bundle, "onnxruntime").responses(IMAGES)
    file = tiny_bundle / "graphs/joint.onnx"
    file.write_bytes(file.read_bytes()[::-1])
    with daenr_export.load(tiny_bundle, "onnxruntime") as model:
        np.testing.assert_array_equal(model.responses(IMAGES), expected)
        with pytest.raises(BundleError, match=r"joint\.onnx: was changed"):
            model.joint(IMAGES)
    with pytest.raises(BundleError, match=r"joint\.onnx: was changed"):
        daenr_export.load(tiny_bundle, "onnxruntime", whole=True)


def median_seconds_of_each(calls: list[Callable[[], object]], rounds: int) -> list[float]:
    """Median time of each call, taken in turns, so that a busy machine slows all alike."""
    times: list[list[int]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, taken in zip(calls, times, strict=True):
            start = time.perf_counter_ns()
            call()
            taken.append(time.perf_counter_ns() - start)
    return [statistics.median(taken) * 1e-9 for taken in times]


@pytest.mark.alone
def test_the_checks_cost_microseconds(shared_tiny_bundle: Path) -> None:
    """At most 10 µs beyond a call of onnxruntime itself, set up in the same way."""
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    content = Bundle.open(shared_tiny_bundle).graph("responses").onnx()
    bare_session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    image = IMAGES[:1].copy()
    with daenr_export.load(shared_tiny_bundle, backend="onnxruntime") as model:
        model.warm_up(["responses"])
        overheads = []
        for _ in range(9):
            calls = [lambda: bare_session.run(None, {"image": image}), lambda: model.responses(image)]
            bare, whole = median_seconds_of_each(calls, 400)
            overheads.append(whole - bare)
    assert statistics.median(overheads) < 10e-6
