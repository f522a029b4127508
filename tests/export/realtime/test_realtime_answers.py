"""What a real-time session answers, what it refuses and in which words, and that it allocates nothing for a frame."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bundle_factory as factory
import numpy as np
import pytest

import daenr_export
from daenr_common.errors import BundleError, DaenrError, ImageError
from daenr_export.runtime.backends.onnxruntime import OnnxRuntimeBackend
from daenr_export.runtime.model import Model
from daenr_export.runtime.protocol import Bound, GraphSource
from daenr_export.runtime.realtime import RealtimeSession
from daenr_export.runtime.session import CallSession

IMAGES = factory.some_images(6)


@pytest.fixture(params=["onnxruntime", "openvino"])
def model(request: pytest.FixtureRequest, shared_tiny_bundle: Path) -> Iterator[Model]:
    pytest.importorskip(request.param)
    with daenr_export.load(shared_tiny_bundle, backend=request.param) as model:
        yield model


@pytest.fixture
def session(shared_tiny_bundle: Path) -> Iterator[RealtimeSession]:
    with (
        daenr_export.load(shared_tiny_bundle, backend="onnxruntime") as model,
        model.realtime(keep_warm=True) as session,
    ):
        yield session


def frames(images: np.ndarray) -> list[np.ndarray]:
    return [images[index : index + 1] for index in range(len(images))]


@pytest.mark.parametrize("keep_warm", [False, True])
def test_it_answers_as_the_model_does_bit_for_bit(model: Model, keep_warm: bool) -> None:
    with model.realtime(keep_warm=keep_warm) as rt:
        out = np.empty((1, factory.NEURONS), np.float32)
        for frame in frames(IMAGES):
            expected = model.responses(frame)
            np.testing.assert_array_equal(rt(frame), expected)
            assert rt(frame, out=out) is out
            np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("graph", factory.GRAPHS)
def test_every_graph_with_all_of_its_outputs(model: Model, graph: str) -> None:
    with model.realtime(graph) as rt:
        assert rt.spec == model.graphs[graph]
        for seed in range(3):
            batch = np.random.default_rng(seed).uniform(-1, 1, (1, *rt.spec.input.shape)).astype(np.float32)
            expected = tuple(model.run(graph, batch).values())
            out = tuple(np.empty_like(array) for array in expected)
            answer = rt(batch)
            if len(expected) == 1:
                assert isinstance(answer, np.ndarray)
                answer = (answer,)
            assert rt(batch, out=out if len(out) > 1 else out[0]) is (out if len(out) > 1 else out[0])
            for ours, copied, theirs in zip(answer, out, expected, strict=True):
                np.testing.assert_array_equal(ours, theirs)
                np.testing.assert_array_equal(copied, theirs)


def test_frames_may_be_of_several_images(model: Model) -> None:
    with model.realtime(batch=3) as rt:
        assert rt.batch == 3
        np.testing.assert_array_equal(rt(IMAGES[:3]), model.responses(IMAGES[:3]))
        with pytest.raises(ImageError, match=r"is a batch of 1, and this session was opened for 3; give batches of 3"):
            rt(IMAGES[:1])


def test_pixels(tmp_path: Path) -> None:
    pixels = factory.some_images(4, pixels="uint8")
    path = factory.make_bundle(tmp_path / "a.daenr", pixels="uint8")
    with daenr_export.load(path, backend="onnxruntime") as model, model.realtime(keep_warm=True) as rt:
        for frame in frames(pixels):
            np.testing.assert_array_equal(rt(frame), model.responses(frame))
        with pytest.raises(ImageError, match="is float32, expected uint8; give the pixels"):
            rt(IMAGES[:1])


@pytest.mark.parametrize(
    "layout",
    [np.asfortranarray, lambda x: x[::, :, ::-1, ::-1], lambda x: np.repeat(x, 2, axis=3)[..., ::2]],
    ids=["fortran", "mirrored", "strided"],
)
def test_any_layout_is_taken_and_left_alone(
    session: RealtimeSession, layout: Callable[[np.ndarray], np.ndarray]
) -> None:
    frame = layout(IMAGES[:1])
    frame.flags.writeable = False
    before = frame.copy()
    expected = session(np.ascontiguousarray(frame)).copy()
    np.testing.assert_array_equal(session(frame), expected)
    np.testing.assert_array_equal(frame, before)


def test_the_standing_answer_is_one_buffer_that_only_the_session_writes(session: RealtimeSession) -> None:
    first = session(IMAGES[:1])
    kept = first.copy()
    with pytest.raises(ValueError, match="read-only"):
        first += 1
    assert session(IMAGES[1:2]) is first
    assert not np.array_equal(first, kept)


def test_waiting_warm_changes_no_answer(session: RealtimeSession) -> None:
    runs = counted(session)
    out = np.empty((1, factory.NEURONS), np.float32)
    standing = session(IMAGES[2:3], out=out).copy()
    answers = session(IMAGES[2:3])
    session.wait_for(lambda: len(runs) > 20, NEVER)
    np.testing.assert_array_equal(answers, standing)
    np.testing.assert_array_equal(out, standing)


def test_what_it_says_about_itself(model: Model) -> None:
    with model.realtime(keep_warm=True) as rt:
        assert rt.backend == model.backend
        assert rt.keep_warm
        assert rt.bundle_sha256 == model.manifest.sha256
        assert rt.warm_up_report.runs >= 50
        assert rt.warm_up_report.p50_ns > 0


def wrong_value(value: float) -> np.ndarray:
    frame = IMAGES[:1].copy()
    frame[0, 0, 31, 31] = value
    return frame


WRONG_FRAMES = [
    IMAGES[:1].tolist(),
    None,
    np.ma.masked_array(IMAGES[:1]),
    IMAGES[:1].astype(float),
    IMAGES[:1].astype(">f4"),
    IMAGES[0],
    IMAGES[:1, ..., :31],
    wrong_value(np.nan),
    wrong_value(np.inf),
    wrong_value(-np.inf),
    wrong_value(1.001),
    wrong_value(-1.001),
]


@pytest.mark.parametrize("frame", WRONG_FRAMES)
def test_a_wrong_frame_is_refused_in_the_words_of_the_model_and_the_next_is_answered(model: Model, frame: Any) -> None:
    with pytest.raises(ImageError) as expected:
        model.responses(frame)
    with model.realtime(keep_warm=True) as rt:
        answer = rt(IMAGES[:1])
        before = answer.copy()
        with pytest.raises(ImageError) as caught:
            rt(frame)
        assert str(caught.value) == str(expected.value)
        np.testing.assert_array_equal(answer, before)
        np.testing.assert_array_equal(rt(IMAGES[1:2]), model.responses(IMAGES[1:2]))


def test_frames_of_another_size_are_refused(session: RealtimeSession) -> None:
    with pytest.raises(
        ImageError, match=r"is a batch of 2, and this session was opened for 1; .* open it with batch=2"
    ):
        session(IMAGES[:2])


READ_ONLY = np.zeros((1, 5), np.float32)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("out", "came"),
    [
        (np.empty((1, 6), np.float32), "float32 (1, 6)"),
        (np.empty((4, 5), np.float32), "float32 (4, 5)"),
        (np.empty(5, np.float32), "float32 (5,)"),
        (np.empty((1, 5)), "float64 (1, 5)"),
        (READ_ONLY, "read-only float32 (1, 5)"),
        ([0.0] * 5, "a builtins.list"),
        ((np.empty((1, 5), np.float32),) * 2, "float32 (1, 5), float32 (1, 5)"),
        ((), ""),
    ],
)
def test_an_out_that_does_not_fit_is_refused(session: RealtimeSession, out: Any, came: str) -> None:
    with pytest.raises(DaenrError) as caught:
        session(IMAGES[:1], out=out)
    assert str(caught.value) == (
        f"out: is {came}, expected float32 (1, 5); make it once with numpy.empty and use it again"
    )


def test_what_cannot_be_opened_is_refused(model: Model) -> None:
    for batch in (0, 9, -1):
        with pytest.raises(DaenrError, match=rf"batch={batch}: is not a size .* 1 to 8"), model.realtime(batch=batch):
            pass
    with pytest.raises(BundleError, match="has no graph 'response', only"), model.realtime("response"):
        pass
    model.close()
    with pytest.raises(DaenrError, match="is a model that was closed"):
        model.realtime()


def test_it_outlives_its_model_and_ends_with_its_block(shared_tiny_bundle: Path) -> None:
    model = daenr_export.load(shared_tiny_bundle, backend="onnxruntime")
    expected = model.responses(IMAGES[:1])
    with model.realtime() as rt:
        model.close()
        np.testing.assert_array_equal(rt(IMAGES[:1]), expected)
    for use in (lambda: rt(IMAGES[:1]), lambda: rt.wait_until(0), lambda: rt.wait_for(bool, 0)):
        with pytest.raises(DaenrError, match=r"real-time session of the graph responses on onnxruntime: is closed; "):
            use()


def test_other_threads_are_refused(session: RealtimeSession) -> None:
    refused: list[DaenrError] = []

    def use() -> None:
        for call in (lambda: session(IMAGES[:1]), lambda: session.wait_until(0), lambda: session.wait_for(bool, 0)):
            with pytest.raises(DaenrError, match="was used in another thread than the one that opened it") as caught:
                call()
            refused.append(caught.value)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(refused) == 3
    session(IMAGES[:1])


NEVER = 2**62


def counted(session: RealtimeSession) -> list[None]:
    """One entry for each run of the engine from now on."""
    runs: list[None] = []
    run = session._run

    def counting() -> None:
        runs.append(None)
        run()

    session._run = counting
    return runs


class Failing:
    """onnxruntime, until `broken` is set."""

    name = "failing"
    broken: Exception | None = None

    def why_unavailable(self) -> str | None:
        return None

    def open(self, graph: GraphSource) -> CallSession:
        opened = OnnxRuntimeBackend().open(graph)

        def bind(batch: int) -> Bound:
            bound = opened.bind(batch)

            def run() -> None:
                if self.broken:
                    raise self.broken
                bound.run()

            return bound._replace(run=run)

        return CallSession(self.name, graph.spec, opened.run, bind)


@pytest.mark.parametrize("keep_warm", [False, True])
def test_what_a_backend_raises_is_said_in_one_line_and_the_session_goes_on(
    shared_tiny_bundle: Path, keep_warm: bool
) -> None:
    backend = Failing()
    with daenr_export.load(shared_tiny_bundle, backend=backend) as model, model.realtime(keep_warm=keep_warm) as rt:
        expected = rt(IMAGES[:1]).copy()
        backend.broken = RuntimeError("CUDA error 700:\n illegal address")
        with pytest.raises(DaenrError) as caught:
            rt(IMAGES[:1])
        assert str(caught.value) == (
            "real-time session of the graph responses on failing: failed on a frame (RuntimeError: CUDA error 700: "
            "illegal address); open the session again, or use another backend"
        )
        asked = iter([False, False, True])
        assert rt.wait_for(lambda: next(asked), NEVER)  # asleep: the failure was said
        backend.broken = None
        np.testing.assert_array_equal(rt(IMAGES[:1]), expected)
        backend.broken = DaenrError("device", "is gone", "restart")
        with pytest.raises(DaenrError, match=r"^device: is gone; restart$"):
            rt(IMAGES[:1])


def test_an_engine_that_dies_while_it_is_kept_warm_is_heard_of_once(shared_tiny_bundle: Path) -> None:
    backend = Failing()
    with daenr_export.load(shared_tiny_bundle, backend=backend) as model, model.realtime(keep_warm=True) as rt:
        rt(IMAGES[:1])
        backend.broken = RuntimeError("device lost")
        with pytest.raises(DaenrError, match=r"failed on a frame \(RuntimeError: device lost\)"):
            rt.wait_for(lambda: False, NEVER)
        asked = iter([False, False, True])
        assert rt.wait_for(lambda: next(asked), NEVER)  # asleep from now on


@pytest.mark.parametrize("graph", ["responses", "joint"])
def test_nothing_is_allocated_for_a_frame(shared_tiny_bundle: Path, graph: str) -> None:
    """10 000 frames: nothing stays, and at no time is there even one more image or answer than before."""
    images = frames(IMAGES)
    with (
        daenr_export.load(shared_tiny_bundle, backend="onnxruntime") as model,
        model.realtime(graph, keep_warm=True) as rt,
    ):
        out = tuple(np.empty((1, *output.shape), output.numpy_dtype) for output in rt.spec.outputs)
        given = out if len(out) > 1 else out[0]

        def answer(count: int) -> None:
            for number in range(count):
                rt(images[number % len(images)], out=given)
                rt(images[number % len(images)])

        answer(1000)
        tracemalloc.start()
        try:
            answer(1000)
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            answer(10_000)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    # Python itself and other threads come and go by some bytes; one byte kept of each frame would be 20 000.
    assert peak - before < images[0].nbytes < 20_000
