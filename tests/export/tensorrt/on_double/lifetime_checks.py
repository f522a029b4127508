"""Sessions on the doubles: opening, refusing to open, closing, and threads. Run like `session_checks.py`."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pycuda.driver
import pytest
import tensorrt_rtx
from answers import check_answers, some_input
from bundle_factory import onnx_graph, reference, some_images
from cuda_double import NOTHING, Alive
from engine_factory import GraphWithEngine, spec_of
from tensorrt_double import EnterpriseDouble, TensorRtDouble, make_plan

from daenr_common.errors import BackendUnavailableError, DaenrError
from daenr_export.runtime.backends import cuda_memory
from daenr_export.runtime.backends.tensorrt import TensorRtBackend, TensorRtRtxBackend
from daenr_export.runtime.backends.tensorrt_session import EngineSession
from daenr_export.specs import BatchRange

VERSION = tensorrt_rtx.__version__


def test_memory_is_taken_once(open_graph: Callable[..., EngineSession], trt: TensorRtDouble) -> None:
    session = open_graph("joint")
    assert trt.driver.alive() == Alive(device_blocks=4, pinned_blocks=4, streams=1, contexts_pushed=0)
    for size in (8, 1, 5):
        session.run(some_images(size))
    assert trt.driver.alive() == Alive(device_blocks=4, pinned_blocks=4, streams=1, contexts_pushed=0)


def test_a_closed_session(open_graph: Callable[..., EngineSession], trt: TensorRtDouble) -> None:
    with open_graph("responses") as session:
        session.run(some_images(1))
    assert trt.driver.alive() == NOTHING
    assert not trt.alive
    session.close()
    with pytest.raises(
        DaenrError, match="tensorrt-rtx session of the graph responses: is closed; open the graph again"
    ):
        session.run(some_images(1))


@pytest.mark.parametrize("after", range(8))
def test_memory_that_runs_out_while_opening(
    trt: TensorRtDouble, open_graph: Callable[..., EngineSession], after: int
) -> None:
    trt.driver.run_out_of_memory(after)
    with pytest.raises(BackendUnavailableError, match=r"cannot open the graph joint on the GPU \(.*out of memory\)"):
        open_graph("joint")
    gc.collect()
    assert trt.driver.alive() == NOTHING


def test_a_context_that_cannot_be_made(open_graph: Callable[..., EngineSession], trt: TensorRtDouble) -> None:
    trt.fails.add("create_execution_context")
    with pytest.raises(BackendUnavailableError, match="cannot be prepared for this GPU: out of device memory"):
        open_graph("joint")


@pytest.mark.parametrize(
    ("plan", "diagnostics"),
    [
        (b"something else", "MALFORMED_ENGINE"),
        (make_plan(onnx_graph("joint"), version="1.2.0.54"), "VERSION_MISMATCH"),
        (make_plan(onnx_graph("joint"), version=VERSION, compute_capabilities=("12.0",)), "UNSUPPORTED_CC"),
        (
            make_plan(onnx_graph("joint"), version="1.2.0.54", compute_capabilities=("12.0",)),
            "VERSION_MISMATCH, UNSUPPORTED_CC",
        ),
    ],
)
def test_a_plan_for_another_machine_is_refused_with_the_diagnostics(
    trt: TensorRtDouble, plan: bytes, diagnostics: str
) -> None:
    message = f"engine of the graph joint: is refused by TensorRT {VERSION}: {diagnostics}; export the bundle again"
    with pytest.raises(BackendUnavailableError, match=message):
        TensorRtRtxBackend(load=lambda _: trt).open(GraphWithEngine(spec_of("joint"), plan))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (spec_of("responses"), r"outputs \['codes', 'reconstruction', 'responses'\]"),
        (spec_of("joint", "uint8"), r"image \('float32', 1, 32, 32\) instead of \('uint8', 1, 32, 32\)"),
        (spec_of("joint", batch=BatchRange(1, 1, 16)), r"a profile for batches of 1 to 8 instead of 1 to 16"),
    ],
)
def test_an_engine_of_another_graph_is_refused(trt: TensorRtDouble, spec: object, message: str) -> None:
    graph = GraphWithEngine(spec, make_plan(onnx_graph("joint"), version=VERSION))
    with pytest.raises(BackendUnavailableError, match=message):
        TensorRtRtxBackend(load=lambda _: trt).open(graph)


def test_enterprise_takes_the_same_path(trt: TensorRtDouble) -> None:
    enterprise = EnterpriseDouble(tensorrt_rtx)
    backend = TensorRtBackend(load=lambda _: enterprise)
    assert (backend.name, backend.why_unavailable()) == ("tensorrt", None)
    graph = GraphWithEngine(spec_of("joint"), make_plan(onnx_graph("joint"), version=VERSION))
    with backend.open(graph) as session:
        check_answers(session, "joint", some_images(3))
    old = GraphWithEngine(spec_of("joint"), make_plan(onnx_graph("joint"), version="10.9.0.1"))
    with pytest.raises(BackendUnavailableError, match=r"is refused by .*: version tag 10\.9\.0\.1 does not match"):
        backend.open(old)


def test_cuda_graphs_are_asked_for(open_graph: Callable[..., EngineSession], trt: TensorRtDouble) -> None:
    check_answers(open_graph("responses", cuda_graphs=True), "responses", some_images(2))
    assert trt.calls[0] == "compile EAGER for WHOLE_GRAPH_CAPTURE"


def test_kernels_are_compiled_before_they_are_needed(
    open_graph: Callable[..., EngineSession], trt: TensorRtDouble
) -> None:
    open_graph("responses").close()
    open_graph("responses", eager_kernels=False, cuda_graphs=True).close()
    assert [call for call in trt.calls if call.startswith("compile ")] == [
        "compile EAGER for DISABLED",
        "compile LAZY for WHOLE_GRAPH_CAPTURE",
    ]


def test_compiled_kernels_are_kept_for_the_next_time(
    open_graph: Callable[..., EngineSession], trt: TensorRtDouble, tmp_path: Path
) -> None:
    folder = tmp_path / "kernels"
    for _ in range(2):
        with open_graph("responses", runtime_cache=folder) as session:
            check_answers(session, "responses", some_images(2))
    compiling = [call for call in trt.calls if call in ("compile", "reuse")]
    assert compiling == ["compile", "reuse"]
    (file,) = folder.iterdir()
    file.write_bytes(b"of another GPU")
    open_graph("responses", runtime_cache=folder).close()
    assert trt.calls[-3] == "compile"


def test_kernels_are_kept_beside_the_bundle_unless_it_is_said_otherwise(trt: TensorRtDouble, tmp_path: Path) -> None:
    plan = make_plan(onnx_graph("responses"), version=VERSION)
    graph = GraphWithEngine(spec_of("responses"), plan, cache_folder=tmp_path / "tiny.daenr.cache")
    TensorRtRtxBackend(load=lambda _: trt, runtime_cache=False).open(graph).close()
    assert not graph.cache_folder.exists()
    TensorRtRtxBackend(load=lambda _: trt).open(graph).close()
    assert [file.suffix for file in graph.cache_folder.iterdir()] == [".cache"]


def test_kernels_are_kept_as_soon_as_a_session_is_bound(
    open_graph: Callable[..., EngineSession], trt: TensorRtDouble, tmp_path: Path
) -> None:
    session = open_graph("responses", runtime_cache=tmp_path / "kernels")
    session.bind(1)
    assert list((tmp_path / "kernels").iterdir())


def test_kernels_that_cannot_be_kept_are_said_once_and_answers_go_on(
    open_graph: Callable[..., EngineSession], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "kernels").write_text("a file, not a folder")
    with open_graph("responses", runtime_cache=tmp_path / "kernels") as session:
        session.bind(1)
        check_answers(session, "responses", some_images(2))
    (record,) = caplog.records
    assert "compiled kernels are not kept" in record.getMessage()
    assert "cannot be written" in record.getMessage()


def in_another_thread(call: Callable[[], object]) -> object:
    result: list[object] = []

    def run() -> None:
        try:
            result.append(call())
        except DaenrError as error:
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return result[0]


def test_another_thread_may_run_and_close_it(open_graph: Callable[..., EngineSession], trt: TensorRtDouble) -> None:
    session = open_graph("responses")
    batch = some_images(2)
    (answer,) = in_another_thread(lambda: session.run(batch))
    np.testing.assert_array_equal(answer, reference("responses", batch)["responses"])
    in_another_thread(session.close)
    assert trt.driver.alive() == NOTHING


def test_two_threads_at_once_are_an_error(
    open_graph: Callable[..., EngineSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_graph("responses")
    real = session._device.download
    seen: list[object] = []

    def download(*arguments: object) -> None:
        seen.append(in_another_thread(lambda: session.run(some_images(1))))
        real(*arguments)

    monkeypatch.setattr(session._device, "download", download)
    check_answers(session, "responses", some_images(2))
    (error,) = seen
    assert isinstance(error, DaenrError)
    assert "is answering another thread's batch; open a session for each thread" in str(error)


def test_what_was_current_is_current_afterwards(open_graph: Callable[..., EngineSession], trt: TensorRtDouble) -> None:
    session = open_graph("responses")
    with cuda_memory.current(pycuda.driver):
        session.run(some_images(1))
        assert trt.driver.alive().contexts_pushed == 1
        session.close()
        assert trt.driver.alive().contexts_pushed == 1


def test_several_sessions_side_by_side(open_graph: Callable[..., EngineSession]) -> None:
    sessions = {name: open_graph(name) for name in ("responses", "joint", "encoder")}
    for seed in range(3):
        for name, session in sessions.items():
            check_answers(session, name, some_input(name, seed + 1, seed=seed))
