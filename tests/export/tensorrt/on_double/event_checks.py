"""The device's own time through CUDA events, on the doubles, whose every piece of work takes a microsecond."""

from __future__ import annotations

from collections.abc import Callable

import pycuda.driver
import pytest
from bind_checks import check_bound
from bundle_factory import GRAPHS, some_images
from cuda_double import NOTHING
from tensorrt_double import TensorRtDouble

from daenr_common.errors import DaenrError, ImageError
from daenr_export.runtime.backends.tensorrt import TensorRtBackend
from daenr_export.runtime.backends.tensorrt_session import EngineSession
from daenr_export.runtime.protocol import DeviceTimed

Open = Callable[..., EngineSession]

US = 1000


def of_work(name: str) -> int:
    """How long the device takes: the copy there, the engine, and a copy back for each output."""
    return (2 + len(GRAPHS[name][1])) * US


@pytest.mark.parametrize("name", ["responses", "joint"])
@pytest.mark.parametrize("captured", [False, True])
def test_the_device_times_the_copies_and_the_engine(open_graph: Open, name: str, captured: bool) -> None:
    if captured:
        pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")
    session = open_graph(name, flavour=TensorRtBackend, cuda_graphs=captured)
    assert isinstance(session, DeviceTimed)
    assert "between two CUDA events" in session.device_boundary
    timed = session.bind_timed(2)
    for seed in range(3):
        check_bound(timed.bound, name, some_images(2, seed=seed))
        assert timed.device_ns() == of_work(name)


def test_the_time_is_that_of_the_last_run_of_these_buffers(open_graph: Open, trt: TensorRtDouble) -> None:
    session = open_graph("responses")
    timed, plain = session.bind_timed(1), session.bind(3)
    first = timed.device_ns()
    plain.run()
    assert timed.device_ns() == first == of_work("responses")
    timed.bound.run()  # sets the shape anew, before the device's clock starts
    assert timed.device_ns() == first


def test_what_is_not_timed_records_no_events(open_graph: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(pycuda.driver, "Event")
    session = open_graph("responses")
    check_bound(session.bind(1), "responses", some_images(1))
    with pytest.raises(DaenrError, match=r"could not answer a batch of 1 .*Event"):
        session.bind_timed(1)


def test_closing_gives_the_events_back(open_graph: Open, trt: TensorRtDouble) -> None:
    session = open_graph("responses")
    timed = session.bind_timed(1)
    session.bind_timed(2)
    assert trt.driver.alive().events == 4
    session.close()
    assert trt.driver.alive() == NOTHING
    for attempt in (timed.device_ns, timed.bound.run, lambda: session.bind_timed(1)):
        with pytest.raises(DaenrError, match="is closed; open the graph again"):
            attempt()


def test_a_run_that_fails_leaves_the_timer_usable(open_graph: Open, trt: TensorRtDouble) -> None:
    timed = open_graph("responses").bind_timed(1)
    trt.fails.add("execute_async_v3")
    with pytest.raises(DaenrError, match="TensorRT did not run a batch of 1"):
        timed.bound.run()
    trt.fails.clear()
    timed.bound.run()
    assert timed.device_ns() == of_work("responses")


def test_a_batch_size_that_the_engine_does_not_take(open_graph: Open) -> None:
    with pytest.raises(ImageError, match="is a batch of 9, and the engine takes 1 to 8"):
        open_graph("responses").bind_timed(9)
