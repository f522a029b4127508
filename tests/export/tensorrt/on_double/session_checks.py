"""Sessions on the real pycuda, over the doubles of the CUDA driver and of TensorRT: what they answer.

Not collected by name: `test_trt_backend.py` runs this folder in a process of its own, which finds the double.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pycuda.driver
import pytest
from answers import check_answers, some_input
from bundle_factory import GRAPHS, some_images
from engine_factory import spec_of
from tensorrt_double import TensorRtDouble

from daenr_common.errors import DaenrError, ImageError
from daenr_export.runtime.backends.tensorrt import TensorRtRtxBackend
from daenr_export.runtime.backends.tensorrt_session import EngineSession
from daenr_export.runtime.protocol import Backend, Session
from daenr_export.tensorrt import why_no_gpu


def test_the_double_is_there_and_the_backend_can_run(trt: TensorRtDouble) -> None:
    assert why_no_gpu() is None
    backend = TensorRtRtxBackend(load=lambda _: trt)
    assert isinstance(backend, Backend)
    assert (backend.name, backend.why_unavailable()) == ("tensorrt-rtx", None)


@pytest.mark.parametrize("name", GRAPHS)
def test_every_graph_at_every_batch_size(open_graph: Callable[..., EngineSession], name: str) -> None:
    session = open_graph(name)
    assert isinstance(session, Session)
    assert session.spec == spec_of(name)
    for seed, size in enumerate([1, 2, 3, 8, 1, 1]):
        check_answers(session, name, some_input(name, size, seed=seed))


@pytest.mark.parametrize("size", [1, 8])
def test_pixels_as_bytes(open_graph: Callable[..., EngineSession], size: int) -> None:
    check_answers(open_graph("joint", "uint8"), "joint", some_images(size, pixels="uint8"), "uint8")


def test_answers_belong_to_the_caller(open_graph: Callable[..., EngineSession]) -> None:
    session = open_graph("responses")
    batch = some_images(2)
    (first,) = session.run(batch)
    kept = first.copy()
    session.run(some_images(2, seed=1))
    session.close()

    np.testing.assert_array_equal(first, kept)


def test_a_read_only_batch(open_graph: Callable[..., EngineSession]) -> None:
    batch = some_images(2)
    batch.flags.writeable = False

    check_answers(open_graph("joint"), "joint", batch)


def test_shapes_are_set_only_when_the_batch_changes(
    open_graph: Callable[..., EngineSession], trt: TensorRtDouble
) -> None:
    session = open_graph("responses")
    for size in (1, 1, 1, 4, 4, 1):
        session.run(some_images(size))

    assert trt.calls == [
        *("compile EAGER for DISABLED", "address image", "address responses"),
        *("shape 1", "execute 1", "execute 1", "execute 1"),
        *("shape 4", "execute 4", "execute 4"),
        *("shape 1", "execute 1"),
    ]


def test_only_the_bytes_of_the_batch_are_copied(
    open_graph: Callable[..., EngineSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[int] = []
    real_up, real_down = pycuda.driver.memcpy_htod_async, pycuda.driver.memcpy_dtoh_async

    def up(to: object, source: np.ndarray, stream: object) -> None:
        copied.append(source.nbytes)
        real_up(to, source, stream)

    def down(to: np.ndarray, source: object, stream: object) -> None:
        copied.append(to.nbytes)
        real_down(to, source, stream)

    monkeypatch.setattr(pycuda.driver, "memcpy_htod_async", up)
    monkeypatch.setattr(pycuda.driver, "memcpy_dtoh_async", down)
    session = open_graph("joint")
    session.run(some_images(3))

    outputs = [3 * 5 * 4, 3 * 32 * 32 * 4, 3 * 4 * 8]
    assert copied == [3 * 32 * 32 * 4, *outputs]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (some_images(9), r"is a batch of 9, and the engine takes 1 to 8; split it"),
        (some_images(1)[:0], r"is a batch of 0"),
        (some_images(1).astype(np.float64), r"is float64 \(1, 1, 32, 32\), expected float32 \('B', 1, 32, 32\)"),
        (some_images(1)[0], r"is float32 \(1, 32, 32\)"),
    ],
)
def test_a_batch_that_does_not_fit(open_graph: Callable[..., EngineSession], batch: np.ndarray, message: str) -> None:
    session = open_graph("responses")
    with pytest.raises(ImageError, match=message):
        session.run(batch)
    check_answers(session, "responses", some_images(8))


def test_a_failing_run_is_an_error_and_the_session_goes_on(
    open_graph: Callable[..., EngineSession], trt: TensorRtDouble
) -> None:
    session = open_graph("responses")
    trt.fails.add("execute_async_v3")
    with pytest.raises(DaenrError, match="TensorRT did not run a batch of 2: an illegal memory access"):
        session.run(some_images(2))
    trt.fails.clear()
    check_answers(session, "responses", some_images(2))


def test_a_refused_shape_is_an_error_and_is_set_again(
    open_graph: Callable[..., EngineSession], trt: TensorRtDouble
) -> None:
    session = open_graph("responses")
    session.run(some_images(1))
    trt.fails.add("set_input_shape")
    for _ in range(2):
        with pytest.raises(DaenrError, match="does not take a batch of 2: no input image"):
            session.run(some_images(2))
    trt.fails.clear()
    check_answers(session, "responses", some_images(2))


def test_an_error_of_the_driver(
    open_graph: Callable[..., EngineSession], trt: TensorRtDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_graph("responses")

    def fails(*_: object) -> None:
        raise pycuda.driver.LaunchError("cuMemcpyHtoDAsync failed: unspecified launch failure")

    monkeypatch.setattr(session._device, "_to_device", fails)
    with pytest.raises(DaenrError, match=r"could not answer a batch of 1 .*unspecified launch failure"):
        session.run(some_images(1))
    assert trt.driver.alive().contexts_pushed == 0
