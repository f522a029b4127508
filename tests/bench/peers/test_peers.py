"""Peers in a run: who takes part, on what, what is recorded, and that their faults are not the bundle's."""

from __future__ import annotations

import importlib
import re
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bench_checks import assert_one_line
from bench_factory import GRAPHS, FakeBackend, FakeClock
from click.testing import CliRunner

from daenr_bench import Plan, benchmark
from daenr_bench.cli import main
from daenr_bench.clocks import SYSTEM_CLOCK
from daenr_bench.entrants import choose
from daenr_bench.notes import notes
from daenr_bench.peers import registry as peer_registry
from daenr_bench.peers.contract import About, Peer
from daenr_bench.peers.native_threads import counting_threads
from daenr_bench.peers.registry import PEERS, make
from daenr_bench.result import Result
from daenr_bench.scenarios.burst import Burst
from daenr_bench.scenarios.cold import Cold
from daenr_bench.scenarios.paced import Paced
from daenr_bench.scenarios.pacing import Pace
from daenr_common.errors import BackendUnavailableError
from daenr_common.verdict import Verdict
from daenr_export.bundle import Bundle
from daenr_export.tensorrt import why_no_gpu

QUICK = Plan((Burst(samples=20),))
ON_A_GPU = ("torch-compile-cuda", "torch-tensorrt", "onnxruntime-cuda-default", "onnxruntime-tensorrt-default")
ENGINES = ("trtexec", "trtexec-rtx")


@pytest.mark.parametrize("name", PEERS)
def test_every_row_leads_to_a_peer_whose_docstring_says_how_it_is_run(name: str) -> None:
    peer = make(name, Path("not read.pt"))
    assert isinstance(peer, Peer)
    assert peer.name == name
    assert peer.about.settings
    documented = importlib.import_module(f"daenr_bench.peers.{PEERS[name].target.partition(':')[0]}").__doc__ or ""
    assert "Settings: " in documented
    assert "Documentation:" in documented
    assert peer.about.documentation.startswith("https://")
    assert peer.about.documentation in documented


@pytest.mark.skipif(why_no_gpu() is None, reason="there is a GPU")
@pytest.mark.parametrize("name", [*ON_A_GPU, *ENGINES])
def test_without_a_gpu_it_says_so(name: str) -> None:
    pytest.importorskip("torch")
    assert "no CUDA driver" in str(make(name, Path("not read.pt")).why_unavailable())


class FakePeer(FakeBackend):
    """A peer, as far as anybody can tell."""

    about = About("as the test says", "https://example.org/latency")
    threads = 3


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let these be all the peers there are, under names of real ones."""

    def known(*peers: FakePeer) -> None:
        by_name = {peer.name: peer for peer in peers}
        table = {name: PEERS[name] for name in by_name}
        for module in (peer_registry, importlib.import_module("daenr_bench.entrants")):
            monkeypatch.setattr(module, "PEERS", table)
        monkeypatch.setattr("daenr_bench.entrants.make_peer", lambda name, checkpoint: by_name[name])

    return known


def run(bundle: Path, backend: FakeBackend, clock: FakeClock, **options: object) -> Result:
    return benchmark(bundle, backends=[backend], peers=True, clock=clock, **{"plan": QUICK, **options}).result


def test_peers_are_on_the_graph_that_a_rig_runs_unless_others_are_named(
    shared_timed_bundle: Path, known: Callable[..., None]
) -> None:
    clock = FakeClock()
    known(FakePeer(shared_timed_bundle, clock, name="torch"), FakePeer(shared_timed_bundle, clock, name="torchscript"))
    backend = FakeBackend(shared_timed_bundle, clock)
    measured = [(m.graph, m.backend) for m in run(shared_timed_bundle, backend, clock).measurements]
    assert measured == [
        *((graph, "torch") for graph in GRAPHS),
        *((graph, "fake") for graph in GRAPHS),
        ("responses", "torchscript"),
    ]
    named = run(shared_timed_bundle, backend, clock, graphs=["readout", "encoder"])
    assert [m.graph for m in named.measurements if m.backend == "torchscript"] == ["readout", "encoder"]


def test_how_everything_was_run_is_in_the_result(shared_timed_bundle: Path, known: Callable[..., None]) -> None:
    clock = FakeClock()
    known(FakePeer(shared_timed_bundle, clock, name="torchscript"))
    result = run(shared_timed_bundle, FakeBackend(shared_timed_bundle, clock), clock)
    backend, peer = result.entrants
    assert (backend.backend, backend.is_peer, backend.settings, backend.threads) == ("fake", False, None, None)
    assert (peer.backend, peer.is_peer, peer.settings, peer.documentation, peer.threads) == (
        *("torchscript", True, "as the test says", "https://example.org/latency", 3),
    )
    assert (list(backend.opening_s), list(peer.opening_s)) == (list(GRAPHS), ["responses"])
    assert all(0 < seconds < 60 for seconds in peer.opening_s.values())
    assert result.peers == {"torchscript"}
    assert Result.from_json(result.json_text()) == result
    (line,) = [line for line in notes(result) if line.startswith("peer torchscript")]
    said = r"peer torchscript: as the test says; 3 threads, opened in \d+ ms \(https://example\.org/latency\)"
    assert re.fullmatch(said, line)


def test_a_wrong_peer_has_no_figure_and_does_not_fail_the_bundle(
    shared_timed_bundle: Path, known: Callable[..., None]
) -> None:
    clock = FakeClock()
    known(FakePeer(shared_timed_bundle, clock, name="torchscript", spoil=lambda number, answer: answer * 1.01))
    result = run(shared_timed_bundle, FakeBackend(shared_timed_bundle, clock), clock)
    assert [m.backend for m in result.measurements if m.backend == "torchscript"] == []
    assert result.accuracy[-1].verdict == "fail"
    assert result.verdict is Verdict.PASS
    assert any(line.startswith("WRONG responses on torchscript: responses: error") for line in notes(result))
    alone = benchmark(shared_timed_bundle, backends=["torchscript"], plan=QUICK, clock=clock).result
    assert alone.verdict is Verdict.CANNOT_TELL  # nothing was measured, and so nothing passed


def test_a_peer_that_dies_or_is_late_does_not_fail_the_bundle(
    shared_timed_bundle: Path, known: Callable[..., None]
) -> None:
    clock = FakeClock()

    def dies(number: int, answer: np.ndarray) -> np.ndarray:
        if number > 100:
            raise RuntimeError("out of cheese")
        return answer

    known(
        FakePeer(shared_timed_bundle, clock, name="torchscript", spoil=dies),
        FakePeer(shared_timed_bundle, clock, lambda *_: 9_000_000, name="openvino-latency"),
    )
    plan = Plan((Burst(samples=200), Paced(Pace(100.0, deadline_ns=5_000_000), samples=700)))
    result = run(shared_timed_bundle, FakeBackend(shared_timed_bundle, clock), clock, plan=plan, graphs=["responses"])
    states = {(m.backend, m.scenario): m.state for m in result.measurements}
    assert states["torchscript", "burst"] == "fault"
    late = next(m.paced for m in result.measurements if (m.backend, m.scenario) == ("openvino-latency", "paced"))
    assert late is not None
    assert (late.verdict, late.is_gate) == ("fail", True)
    assert result.verdict is Verdict.PASS


def test_peers_that_cannot_run_here_say_why(shared_timed_bundle: Path, known: Callable[..., None]) -> None:
    clock = FakeClock()
    known(FakePeer(shared_timed_bundle, clock, name="torchscript", reason="its compiler is on strike"))
    result = run(shared_timed_bundle, FakeBackend(shared_timed_bundle, clock), clock)
    assert [(skip.backend, skip.reason) for skip in result.skipped] == [("torchscript", "its compiler is on strike")]
    with pytest.raises(
        BackendUnavailableError, match="backend torchscript: cannot run here: its compiler is on strike"
    ):
        benchmark(shared_timed_bundle, backends=["torchscript"], plan=QUICK, clock=clock)


def test_what_runs_a_checkpoint_needs_one(shared_timed_bundle: Path) -> None:
    bundle = Bundle.open(shared_timed_bundle)
    _, skipped = choose(bundle, [], None, all_peers=True)
    reasons = {skip.backend: skip.reason for skip in skipped}
    for name in ("torch", "torch-compile", "torchscript", "torch-tensorrt"):
        assert reasons[name] == "runs a checkpoint, and none is given; add --checkpoint"
        with pytest.raises(BackendUnavailableError, match=f"backend {name}: runs a checkpoint, and none is given"):
            choose(bundle, [name], None)


def test_a_name_that_is_nearly_a_peers_is_one_line(shared_timed_bundle: Path) -> None:
    result = CliRunner().invoke(main, ["run", str(shared_timed_bundle), "--backend", "torchscrip"])
    assert_one_line(result, "backend 'torchscrip': is not known; the backends are", "mean torchscript?")


def test_threads_are_counted_where_a_library_does_not_tell() -> None:
    stop = threading.Event()

    def start() -> list[threading.Thread]:
        threads = [threading.Thread(target=stop.wait) for _ in range(3)]
        for thread in threads:
            thread.start()
        return threads

    started, count = counting_threads(start)
    stop.set()
    for thread in started:
        thread.join()
    assert count in (4, None)


@pytest.mark.parametrize(
    ("name", "library"), [("onnxruntime-default", "onnxruntime"), ("openvino-latency", "openvino")]
)
def test_real_peers_of_the_graphs_run_as_their_documentation_says(
    shared_timed_bundle: Path, name: str, library: str
) -> None:
    """In a real run, without a checkpoint, cold starts included: they are made again in a new process."""
    pytest.importorskip(library)
    plan = Plan((Burst(samples=20), Cold(repeats=1)))
    result = benchmark(shared_timed_bundle, backends=[name], graphs=["responses"], plan=plan, clock=SYSTEM_CLOCK).result
    assert [(m.scenario, m.state, m.problems) for m in result.measurements] == [
        ("burst", "pass", ()),
        ("cold", "pass", ()),
    ]
    (entrant,) = result.entrants
    assert entrant.threads is None or entrant.threads >= 1
    assert result.verdict is Verdict.PASS


def test_onnxruntime_is_called_without_options(shared_timed_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    asked: list[tuple[int, dict[str, object]]] = []
    real = onnxruntime.InferenceSession

    def spy(*arguments: object, **options: object) -> object:
        asked.append((len(arguments), options))
        return real(*arguments, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", spy)
    with make("onnxruntime-default", None).open(Bundle.open(shared_timed_bundle).graph("responses")):
        pass
    assert asked == [(1, {"providers": [("CPUExecutionProvider", {})]})]


def test_openvino_keeps_the_precision_and_decides_on_threads(
    shared_timed_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openvino = pytest.importorskip("openvino")
    peer, compiled = make("openvino-latency", None), []
    real = openvino.Core.compile_model

    def spy(core: object, *arguments: object) -> object:
        compiled.append(real(core, *arguments))
        return compiled[-1]

    monkeypatch.setattr(openvino.Core, "compile_model", spy)
    with peer.open(Bundle.open(shared_timed_bundle).graph("responses")):
        pass
    (model,) = compiled
    assert model.get_property("PERFORMANCE_HINT") == "LATENCY"
    assert model.get_property("EXECUTION_MODE_HINT").name == "ACCURACY"
    assert peer.threads == model.get_property("INFERENCE_NUM_THREADS")


def test_the_guide_tells_of_every_peer() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "benchmarking.md").read_text("utf-8")
    assert [name for name in PEERS if f"`{name}`" not in guide] == []
