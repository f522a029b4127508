"""Standing buffers on the doubles. Run like `session_checks.py`."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from collections.abc import Callable

import numpy as np
import pycuda.driver
import pytest
from answers import check_answers, some_input
from bundle_factory import GRAPHS, reference, some_images
from cuda_double import NOTHING, Alive
from tensorrt_double import TensorRtDouble

from daenr_common.errors import DaenrError, ImageError
from daenr_export.runtime.backends.tensorrt_session import EngineSession
from daenr_export.runtime.protocol import Bound


def check_bound(bound: Bound, name: str, batch: np.ndarray) -> None:
    bound.input[:] = batch
    bound.run()
    for answer, expected in zip(bound.outputs, reference(name, batch).values(), strict=True):
        np.testing.assert_array_equal(answer, expected)


@pytest.mark.parametrize("name", GRAPHS)
def test_bound_buffers_hold_the_answers(open_graph: Callable[..., EngineSession], name: str) -> None:
    session = open_graph(name)
    single, several = session.bind(1), session.bind(3)
    addresses = [array.ctypes.data for bound in (single, several) for array in (bound.input, *bound.outputs)]
    for seed in range(3):
        check_bound(single, name, some_input(name, 1, seed=seed))
        check_answers(session, name, some_input(name, 8, seed=seed))
        check_bound(several, name, some_input(name, 3, seed=seed))
    assert addresses == [array.ctypes.data for bound in (single, several) for array in (bound.input, *bound.outputs)]


def test_memory_is_taken_when_binding_and_never_after(
    open_graph: Callable[..., EngineSession], trt: TensorRtDouble
) -> None:
    session = open_graph("joint")
    bound = session.bind(2)
    taken = Alive(device_blocks=4, pinned_blocks=8, streams=1, contexts_pushed=0)
    assert trt.driver.alive() == taken
    trt.driver.run_out_of_memory(0)
    check_bound(bound, "joint", some_images(2))
    assert trt.driver.alive() == taken


def test_python_allocates_nothing_per_call(
    open_graph: Callable[..., EngineSession], trt: TensorRtDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_graph("responses")
    bound = session.bind(1)
    # What the double computes is Python, and allocates; what is left is the way there and back.
    monkeypatch.setattr(session._open_engine, "enqueue", lambda stream: None)
    for _ in range(100):
        bound.run()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(2000):
        bound.run()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 2000  # a byte a call


def test_the_first_run_is_done_when_binding(open_graph: Callable[..., EngineSession], trt: TensorRtDouble) -> None:
    bound = open_graph("responses").bind(2)
    prepared = len(trt.calls)
    bound.run()
    assert trt.calls[prepared - 2 :] == ["shape 2", "execute 2", "execute 2"]


def test_a_closed_session_lets_go_and_its_arrays_stay_readable(
    open_graph: Callable[..., EngineSession], trt: TensorRtDouble
) -> None:
    session = open_graph("responses")
    bound = session.bind(1)
    batch = some_images(1)
    check_bound(bound, "responses", batch)
    session.close()
    assert trt.driver.alive() == NOTHING
    bound.input[:] = 0
    np.testing.assert_array_equal(bound.outputs[0], reference("responses", batch)["responses"])
    for attempt in (bound.run, lambda: session.bind(1)):
        with pytest.raises(DaenrError, match="is closed; open the graph again"):
            attempt()


@pytest.mark.parametrize("size", [0, 9])
def test_a_batch_size_that_the_engine_does_not_take(open_graph: Callable[..., EngineSession], size: int) -> None:
    with pytest.raises(ImageError, match=f"is a batch of {size}, and the engine takes 1 to 8"):
        open_graph("responses").bind(size)


@pytest.mark.parametrize("after", range(4))
def test_memory_that_runs_out_while_binding(
    open_graph: Callable[..., EngineSession], trt: TensorRtDouble, after: int
) -> None:
    session = open_graph("joint")
    trt.driver.run_out_of_memory(after)
    with pytest.raises(DaenrError, match="out of memory"):
        session.bind(2)
    trt.driver.run_out_of_memory(-1)
    gc.collect()
    assert trt.driver.alive().pinned_blocks == 4
    check_answers(session, "joint", some_images(2))


def test_a_run_that_fails_is_an_error_and_the_next_is_right(
    open_graph: Callable[..., EngineSession], trt: TensorRtDouble
) -> None:
    bound = open_graph("responses").bind(2)
    trt.fails.add("execute_async_v3")
    with pytest.raises(DaenrError, match="TensorRT did not run a batch of 2: an illegal memory access"):
        bound.run()
    trt.fails.clear()
    check_bound(bound, "responses", some_images(2))


def test_an_error_of_the_driver_is_one_line(
    open_graph: Callable[..., EngineSession], trt: TensorRtDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_graph("responses")
    bound = session.bind(2)

    def fails(*_: object) -> None:
        raise pycuda.driver.LaunchError("cuMemcpyHtoDAsync failed: unspecified launch failure")

    monkeypatch.setattr(session._device, "_to_device", fails)
    with pytest.raises(DaenrError, match=r"could not answer a batch of 2 .*unspecified launch failure"):
        bound.run()
    assert trt.driver.alive().contexts_pushed == 0


def test_another_thread_may_run_what_was_bound(open_graph: Callable[..., EngineSession]) -> None:
    bound = open_graph("responses").bind(1)
    thread = threading.Thread(target=check_bound, args=(bound, "responses", some_images(1, seed=3)))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(bound.outputs[0], reference("responses", some_images(1, seed=3))["responses"])
