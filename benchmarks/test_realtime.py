"""The real-time session: what it adds to the engine, what keeping warm is worth, what waiting costs, if it lasts.

Ratios come from turns within one run. They are printed and held to their bounds, so nothing else may run beside.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

from daenr_export import Model, load
from daenr_export.runtime import registry

GRAPH = "responses"
PERIOD_NS = 10_000_000  # 100 frames a second
TURNS = 8
TURN_S = 2


@pytest.fixture(params=["onnxruntime", "openvino"])
def model(request, subject) -> Iterator[Model]:
    if reason := registry.pick(request.param).why_unavailable():
        pytest.skip(reason)
    with load(subject.bundle, backend=request.param) as model:
        yield model


@pytest.fixture
def frames(model) -> Iterator[np.ndarray]:
    return cycle([image[np.newaxis] for image in model.golden["image"]])


@pytest.fixture
def say(capsys, model) -> Callable[[str], None]:
    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n{model.backend}: {line}", end="")

    return say


def microseconds(times_ns, percent: float) -> float:
    """Percentile by nearest rank."""
    return float(np.percentile(times_ns, percent, method="inverted_cdf")) / 1e3


def p50_and_p99(times_ns) -> str:
    return f"{microseconds(times_ns, 50):.0f} / {microseconds(times_ns, 99):.0f} µs"


def timed(call: Callable[[], object]) -> int:
    start = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - start


def test_what_the_session_adds_to_a_bare_run(model, frames, say):
    """In turns, frame by frame, both with the image in the cache."""
    session = registry.pick(model.backend).open(model._bundle.graph(GRAPH))
    with model.realtime(GRAPH) as rt, session:
        bound = session.bind(1)
        out = np.empty_like(bound.outputs[0])
        calls = {
            "bare": lambda _: bound.run(),
            "session": lambda frame: rt(frame),
            "session, out=": lambda frame: rt(frame, out=out),
        }
        times = {name: [] for name in calls}
        for _ in range(5000):
            frame = next(frames)
            bound.input[...] = frame
            for name, call in calls.items():
                times[name].append(timed(lambda call=call, frame=frame: call(frame)))
    bare = microseconds(times["bare"], 50)
    added = {name: microseconds(taken, 50) - bare for name, taken in times.items()}
    say(f"bare run {bare:.1f} µs, " + ", ".join(f"{name} {extra:+.1f}" for name, extra in list(added.items())[1:]))
    assert added["session"] <= 5


def paced(answer, wait, frames) -> list[int]:
    """A turn at 100 frames a second; latencies count from the instant at which a frame was due."""
    latencies = []
    start = time.monotonic_ns() + PERIOD_NS
    for due in range(start, start + TURN_S * 10**9, PERIOD_NS):
        frame = next(frames)
        wait(due)
        answer(frame)
        latencies.append(time.monotonic_ns() - due)
    return latencies


def test_paced_and_kept_warm(model, frames, say, subject):
    onnxruntime = pytest.importorskip("onnxruntime")
    default = onnxruntime.InferenceSession(str(subject.bundle / f"graphs/{GRAPH}.onnx"))
    results = {"back to back": [], "paced, warm": [], "paced, asleep": [], "onnxruntime's default, paced": []}
    with model.realtime(GRAPH, keep_warm=True) as warm, model.realtime(GRAPH) as asleep:
        for _ in range(TURNS):
            results["back to back"] += [timed(lambda: warm(next(frames))) for _ in range(4000)]
            results["paced, warm"] += paced(warm, warm.wait_until, frames)
            results["paced, asleep"] += paced(asleep, asleep.wait_until, frames)
            results["onnxruntime's default, paced"] += paced(
                lambda frame: default.run(None, {"image": frame}), asleep.wait_until, frames
            )
    back_to_back, kept_warm, _, peer = (microseconds(times, 50) for times in results.values())
    say(", ".join(f"{name} {p50_and_p99(times)}" for name, times in results.items()))
    say(f"warm is {kept_warm / back_to_back:.2f} × back to back, and {peer / kept_warm:.2f} × faster than the default")
    assert kept_warm <= 1.5 * back_to_back
    assert peer >= 2.5 * kept_warm


def test_what_waiting_costs(model, say):
    """Share of a core of a loop that only waits, 100 times a second."""
    shares = {}
    with model.realtime(GRAPH) as rt:
        for name, wait in {
            "wait_until": rt.wait_until,
            "wait_for": lambda due: rt.wait_for(lambda: False, due),
        }.items():
            used, start = time.process_time(), time.monotonic_ns()
            for due in range(start + PERIOD_NS, start + 4 * 10**9, PERIOD_NS):
                wait(due)
            shares[name] = (time.process_time() - used) / (time.monotonic_ns() - start) * 1e9
    say("share of a core while waiting: " + ", ".join(f"{name} {share:.1%}" for name, share in shares.items()))
    assert max(shares.values()) <= 0.05


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_million_frames(model, frames, say):
    """Memory after the first 10 000 frames and at the end; the tail of the first and of the last 100 000."""
    times = np.full(1_000_000, -1, np.int64)
    out = np.empty((1, len(model.neuron_ids)), np.float32)
    with model.realtime(GRAPH) as rt:
        for number in range(len(times)):
            frame = next(frames)
            start = time.perf_counter_ns()
            rt(frame, out=out)
            times[number] = time.perf_counter_ns() - start
            if number == 10_000:
                before = resident_bytes()
        grown = resident_bytes() - before
    first, last = microseconds(times[:100_000], 99), microseconds(times[-100_000:], 99)
    say(f"a million frames: {grown / 2**20:+.2f} MiB, p99 {first:.0f} → {last:.0f} µs ({last / first:.2f} ×)")
    assert grown < 2 * 2**20
    assert last <= 1.2 * first


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
