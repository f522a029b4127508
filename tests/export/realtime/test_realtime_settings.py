"""What a session changes for its thread and its process: only what was asked for, or a refusal, and never for good."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import bundle_factory as factory
import pytest

import daenr_export
from daenr_common.errors import DaenrError
from daenr_export.runtime.model import Model
from daenr_export.runtime.realtime import thread_settings

linux = pytest.mark.skipif(sys.platform != "linux", reason="core, priority and locked memory are set on Linux only")
IMAGE = factory.some_images(1)


@pytest.fixture
def model(shared_tiny_bundle: Path) -> Iterator[Model]:
    with daenr_export.load(shared_tiny_bundle, backend="onnxruntime") as model:
        yield model


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    before = state()
    yield
    assert state() == before


def state() -> tuple[object, ...]:
    thread = (
        (os.sched_getaffinity(0), os.sched_getscheduler(0), os.sched_getparam(0)) if sys.platform == "linux" else ()
    )
    return gc.isenabled(), gc.get_freeze_count(), *thread


def can_be_fifo() -> bool:
    if sys.platform != "linux":
        return False
    try:
        with ExitStack() as undo:
            thread_settings.set_priority("fifo:1", undo)
    except DaenrError:
        return False
    return True


needs_fifo = pytest.mark.skipif(not can_be_fifo(), reason="this process may not use SCHED_FIFO")


def drop_rights() -> None:
    """Leave root nothing of what setting priorities and locking memory takes; runs in the child before its program."""
    import ctypes
    import resource

    for limit in (resource.RLIMIT_MEMLOCK, resource.RLIMIT_RTPRIO):
        resource.setrlimit(limit, (0, 0))
    for capability in (CAP_IPC_LOCK, CAP_SYS_NICE):
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # of no effect, and no need, where not root


PR_CAPBSET_DROP, CAP_IPC_LOCK, CAP_SYS_NICE = 24, 14, 23


def in_own_process(code: str, bundle: Path, *, unprivileged: bool = False) -> list[str]:
    """Run code with a `model` in a process of its own, and return the lines that it prints."""
    head = "import gc, os, sys, daenr_export\nmodel = daenr_export.load(sys.argv[1], backend='onnxruntime')\n"
    command = [sys.executable, "-c", head + code, str(bundle)]
    prepare = drop_rights if unprivileged else None
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, preexec_fn=prepare)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


# --- garbage collection


def test_garbage_is_collected_once_and_then_not_while_the_session_is_open(model: Model) -> None:
    class Node:
        pass

    node = Node()
    node.itself = node
    del node
    collections = []
    gc.callbacks.append(lambda phase, info: collections.append(phase))
    try:
        with model.realtime() as rt:
            assert not gc.isenabled()
            assert gc.get_freeze_count() > 1000
            assert not any(isinstance(thing, Node) for thing in gc.get_objects())
            del collections[:]
            kept = [[] for _ in range(100_000)]
            rt(IMAGE)
            assert not collections
            del kept
    finally:
        gc.callbacks.pop()


def test_garbage_collection_may_be_left_as_it_is(model: Model) -> None:
    before = state()
    with model.realtime(freeze_gc=False):
        assert state() == before


def test_what_was_disabled_and_frozen_before_stays_so(model: Model) -> None:
    gc.disable()
    gc.freeze()
    try:
        with model.realtime():
            pass
        assert not gc.isenabled()
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()
        gc.enable()


def test_the_last_session_restores_whatever_the_order(model: Model) -> None:
    first, second = ExitStack(), ExitStack()
    first.enter_context(model.realtime())
    second.enter_context(model.realtime("joint"))
    first.close()
    assert not gc.isenabled()
    assert gc.get_freeze_count()
    second.close()
    assert gc.isenabled()
    assert not gc.get_freeze_count()


def test_two_threads_with_a_session_each(model: Model) -> None:
    """Each answers; the process is as before when both have ended."""
    both_open = threading.Barrier(2, timeout=60)
    answers = []

    def loop() -> None:
        with model.realtime(keep_warm=True) as rt:
            both_open.wait()
            for _ in range(50):
                answers.append(rt(IMAGE).copy())
            assert not gc.isenabled()
            both_open.wait()

    threads = [threading.Thread(target=loop) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 100
    assert all((answer == model.responses(IMAGE)).all() for answer in answers)


# --- core


@linux
def test_the_thread_stays_on_its_core_and_is_let_go(model: Model) -> None:
    before = os.sched_getaffinity(0)
    core = max(before)
    with model.realtime(cpu=core) as rt:
        assert os.sched_getaffinity(0) == {core}
        rt(IMAGE)
    assert os.sched_getaffinity(0) == before
    with pytest.raises(ZeroDivisionError), model.realtime(cpu=core):
        1 / 0  # noqa: B018


@linux
@pytest.mark.parametrize("cpu", [10_000, -1, 2**70, "3"])
def test_a_core_that_there_is_not_is_refused(model: Model, cpu: int) -> None:
    with pytest.raises(DaenrError) as caught, model.realtime(cpu=cpu):
        pass
    line = str(caught.value)
    assert line.startswith(f"cpu={cpu!r}: is not a core that this process may use (")
    assert line.endswith(f"; it runs on {', '.join(map(str, sorted(os.sched_getaffinity(0))))}")


@linux
def test_sessions_of_one_thread_may_end_in_any_order(model: Model) -> None:
    before = os.sched_getaffinity(0)
    first_core, last_core = min(before), max(before)
    first, second = ExitStack(), ExitStack()
    first.enter_context(model.realtime(cpu=first_core))
    second.enter_context(model.realtime(cpu=last_core))
    first.close()
    assert os.sched_getaffinity(0) == {last_core}
    second.close()
    assert os.sched_getaffinity(0) == before


@linux
def test_a_session_closed_by_another_thread_lets_its_own_thread_go(model: Model) -> None:
    before = os.sched_getaffinity(0)
    stack = ExitStack()
    rt = stack.enter_context(model.realtime(cpu=min(before)))
    closing = threading.Thread(target=stack.close)
    closing.start()
    closing.join()
    assert os.sched_getaffinity(0) == before
    with pytest.raises(DaenrError, match="is closed"):
        rt(IMAGE)


# --- priority


@needs_fifo
@pytest.mark.parametrize(("priority", "number"), [("fifo", 40), ("fifo:1", 1), ("fifo:7", 7)])
def test_the_thread_gets_its_priority_and_loses_it(model: Model, priority: str, number: int) -> None:
    with model.realtime(priority=priority) as rt:
        assert os.sched_getscheduler(0) == os.SCHED_FIFO
        assert os.sched_getparam(0).sched_priority == number
        rt(IMAGE)
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    with pytest.raises(ZeroDivisionError), model.realtime(priority=priority):
        1 / 0  # noqa: B018


@needs_fifo
def test_sessions_with_and_without_priority_are_nested(model: Model) -> None:
    with model.realtime(priority="fifo:3"):
        with model.realtime(priority="fifo:5"), model.realtime("joint"):
            assert os.sched_getparam(0).sched_priority == 5
        assert os.sched_getparam(0).sched_priority == 3


@linux
@pytest.mark.parametrize("priority", ["rr", "fifo:0", "fifo:100", "fifo:-1", "fifo:", "fifo:4.5", "", 40, True])
def test_a_priority_that_there_is_not_is_refused(model: Model, priority: str) -> None:
    with pytest.raises(DaenrError) as caught, model.realtime(priority=priority):
        pass
    assert str(caught.value) == (f"priority={priority!r}: is not known; give 'fifo', or 'fifo:N' with N from 1 to 99")


@linux
def test_threads_started_inside_may_run_where_and_as_their_starter_did_before(model: Model) -> None:
    before = os.sched_getaffinity(0)
    seen = []

    def work(settle: Callable[[], None]) -> None:
        settle()
        seen.append((os.sched_getaffinity(0), os.sched_getscheduler(0)))

    with model.realtime(cpu=min(before), priority="fifo:2" if can_be_fifo() else None):
        for settle in (thread_settings.escape(), lambda: None):
            thread = threading.Thread(target=work, args=(settle,))
            thread.start()
            thread.join()
        inside = os.sched_getaffinity(0), os.sched_getscheduler(0)
    assert seen == [(before, os.SCHED_OTHER), inside]


# --- rights


@linux
def test_without_the_right_priority_and_memory_are_refused_and_nothing_stays(shared_tiny_bundle: Path) -> None:
    code = """
from daenr_common.errors import DaenrError
before = os.sched_getaffinity(0)
for options in ({"priority": "fifo:9"}, {"lock_memory": True}):
    try:
        with model.realtime(cpu=max(before), **options):
            print("opened")
    except DaenrError as error:
        print(error)
    print(os.sched_getaffinity(0) == before, os.sched_getscheduler(0) == os.SCHED_OTHER, gc.isenabled())
with model.realtime() as rt:
    print(rt(model.golden["image"][:1]).shape)
"""
    assert in_own_process(code, shared_tiny_bundle, unprivileged=True) == [
        "priority='fifo:9': is not allowed to this process (Operation not permitted); set 'rtprio 9' for the user in "
        "/etc/security/limits.conf (ulimit -r), or leave it out",
        "True True True",
        "lock_memory=True: is not allowed to this process (Operation not permitted); set 'memlock unlimited' for the "
        "user in /etc/security/limits.conf (ulimit -l), or leave it out",
        "True True True",
        "(1, 5)",
    ]


@linux
def test_memory_is_locked_while_any_session_wants_it(shared_tiny_bundle: Path) -> None:
    code = """
from contextlib import ExitStack
from daenr_common.errors import DaenrError
def locked():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) > 1000 for line in status if line.startswith("VmLck"))
first, second = ExitStack(), ExitStack()
try:
    first.enter_context(model.realtime(lock_memory=True))
except DaenrError as error:
    print("refused:", error)
    raise SystemExit
rt = second.enter_context(model.realtime("joint", lock_memory=True))
rt(model.golden["image"][:1])
print(locked())
first.close()
print(locked())
second.close()
print(locked())
"""
    lines = in_own_process(code, shared_tiny_bundle)
    if lines[0].startswith("refused:"):
        pytest.skip(lines[0])
    assert lines == ["True", "True", "False"]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"cpu": 0}, "cpu=0: pins a thread to a core, which daenr does on Linux only, not on darwin; leave it out"),
        ({"priority": "fifo"}, "priority='fifo': sets a thread's priority, which daenr does on Linux only"),
        ({"lock_memory": True}, "lock_memory=True: keeps memory from being paged out, which daenr does on Linux only"),
    ],
)
def test_other_systems_refuse(model: Model, monkeypatch: pytest.MonkeyPatch, options: dict, line: str) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "darwin")
        with pytest.raises(DaenrError) as caught, model.realtime(**options):
            pass
    assert str(caught.value).startswith(line)


# --- forks


FORK = """
model = daenr_export.load(sys.argv[1], backend="BACKEND")
image = model.golden["image"][:1]
usual = os.sched_getaffinity(0)
with model.realtime(keep_warm=True, cpu=max(usual)) as rt:
    expected = rt(image).copy()
    sys.stdout.flush()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        right = (rt(image) == expected).all()
        print("parent", gc.isenabled(), os.sched_getaffinity(0) == {max(usual)}, right, flush=True)
    else:
        from daenr_common.errors import DaenrError
        for use in (lambda: rt(image), lambda: rt.wait_until(0), lambda: rt.wait_for(bool, 0)):
            try:
                use()
            except DaenrError as error:
                print(error)
        print("child", gc.isenabled(), gc.get_freeze_count(), os.sched_getaffinity(0) == usual)
print("after", gc.isenabled(), gc.get_freeze_count(), os.sched_getaffinity(0) == usual, flush=True)
os._exit(0)  # as multiprocessing does; backends' libraries do not survive the ordinary end of a forked child
"""


@linux
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_forked_child_is_refused_and_keeps_neither_core_nor_frozen_garbage(
    shared_tiny_bundle: Path, backend: str
) -> None:
    pytest.importorskip(backend)
    refused = (
        f"real-time session of the graph responses on {backend}: was opened before this process was forked; "
        "load the bundle and open a session in the child"
    )
    assert in_own_process(FORK.replace("BACKEND", backend), shared_tiny_bundle) == [
        *[refused] * 3,
        "child True 0 True",
        "after True 0 True",
        "parent False True True",
        "after True 0 True",
    ]


@linux
def test_a_child_of_another_thread_leaves_that_thread_where_it_was(shared_tiny_bundle: Path) -> None:
    code = """
import threading
usual = os.sched_getaffinity(0)
def fork():
    child = os.fork()
    if not child:
        print("child", gc.isenabled(), os.sched_getaffinity(0) == usual, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
ready, go = threading.Event(), threading.Event()
def other():
    ready.set()
    go.wait()
    fork()
thread = threading.Thread(target=other)
thread.start()
ready.wait()
with model.realtime(cpu=max(usual)) as rt:
    go.set()
    thread.join()
    rt(model.golden["image"][:1])
    print("parent", gc.isenabled(), os.sched_getaffinity(0) == {max(usual)})
"""
    assert in_own_process(code, shared_tiny_bundle) == ["child True True", "parent False True"]
