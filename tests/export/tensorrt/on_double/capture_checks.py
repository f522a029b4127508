"""CUDA graphs through the real cuda-bindings, on the doubles. Run like `session_checks.py`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from answers import check_answers
from bind_checks import check_bound
from bundle_factory import some_images
from cuda_double import NOTHING
from tensorrt_double import TensorRtDouble

from daenr_common.errors import DaenrError
from daenr_export.runtime.backends.tensorrt import TensorRtBackend
from daenr_export.runtime.backends.tensorrt_session import EngineSession

Open = Callable[[str], EngineSession]


@pytest.fixture
def capturing(open_graph: Callable[..., EngineSession]) -> Open:
    return partial(open_graph, flavour=TensorRtBackend, cuda_graphs=True)


def executions(trt: TensorRtDouble) -> list[str]:
    return [call for call in trt.calls if call.startswith(("shape", "execute"))]


def test_a_batch_is_captured_once_and_then_launched(capturing: Open, trt: TensorRtDouble) -> None:
    bound = capturing("joint").bind(2)
    # TensorRT is asked twice: for the run that settles the shape, and for the capture.
    assert executions(trt) == ["shape 2", "execute 2", "execute 2"]
    launched = trt.driver.launches()
    for seed in range(5):
        check_bound(bound, "joint", some_images(2, seed=seed))
    assert executions(trt) == ["shape 2", "execute 2", "execute 2"]
    assert trt.driver.launches() == launched + 5
    assert trt.driver.alive().graphs == 1


def test_what_is_captured_is_never_launched_for_anything_else(capturing: Open, trt: TensorRtDouble) -> None:
    session = capturing("joint")
    first, second, larger = session.bind(2), session.bind(2), session.bind(5)
    for seed in range(3):
        for bound, size in ((first, 2), (second, 2), (larger, 5), (first, 2)):
            check_bound(bound, "joint", some_images(size, seed=seed))
            assert trt.driver.alive().graphs == 1
        for size in (2, 8, 1, 1):
            check_answers(session, "joint", some_images(size, seed=seed))
            assert trt.driver.alive().graphs == 1


def test_closing_frees_the_graph(capturing: Open, trt: TensorRtDouble) -> None:
    session = capturing("responses")
    session.bind(1)
    session.close()
    assert trt.driver.alive() == NOTHING


def test_a_stream_that_refuses_to_be_captured(capturing: Open, trt: TensorRtDouble) -> None:
    session = capturing("responses")
    trt.driver.refuse_captures(True)
    try:
        message = r"CUDA graph: is refused by the driver \(operation not permitted when stream is capturing\)"
        with pytest.raises(DaenrError, match=message):
            session.run(some_images(1))
    finally:
        trt.driver.refuse_captures(False)
    check_answers(session, "responses", some_images(1))


def test_work_that_cannot_be_captured_leaves_the_stream_as_it_was(
    capturing: Open, trt: TensorRtDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = capturing("responses")
    engine = session._open_engine
    real, calls = engine.enqueue, []

    def waits_in_the_capture(stream: int) -> str | None:
        calls.append(stream)
        if len(calls) == 2:
            session._stream.synchronize()
        return real(stream)

    monkeypatch.setattr(engine, "enqueue", waits_in_the_capture)
    with pytest.raises(DaenrError, match=r"could not answer a batch of 1 .*not permitted when stream is capturing"):
        session.run(some_images(1))
    assert trt.driver.alive().graphs == 0
    check_answers(session, "responses", some_images(1))


def test_a_kernel_that_fails_in_the_capture_alone(
    capturing: Open, trt: TensorRtDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = capturing("responses")
    engine = session._open_engine
    real, calls = engine.enqueue, []

    def fails_in_the_capture(stream: int) -> str | None:
        calls.append(stream)
        return "it cannot be captured" if len(calls) == 2 else real(stream)

    monkeypatch.setattr(engine, "enqueue", fails_in_the_capture)
    with pytest.raises(DaenrError, match="TensorRT did not run a batch of 1: it cannot be captured"):
        session.run(some_images(1))
    assert trt.driver.alive().graphs == 0
    check_answers(session, "responses", some_images(1))


def test_a_kernel_that_fails_before_the_capture(capturing: Open, trt: TensorRtDouble) -> None:
    session = capturing("responses")
    session.run(some_images(1))
    trt.fails.add("execute_async_v3")
    with pytest.raises(DaenrError, match="TensorRT did not run a batch of 2"):
        session.run(some_images(2))
    trt.fails.clear()
    assert trt.driver.alive().graphs == 0
    check_answers(session, "responses", some_images(2))
