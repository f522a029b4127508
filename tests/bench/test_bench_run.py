"""The benchmark as a function: verdicts, skips, references, on engines of known latency."""

from __future__ import annotations

import io
import json
import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench_factory import COMPARED, GRAPHS, FakeBackend, FakeClock, make_timed_bundle

from daenr_bench import Plan, Report, benchmark
from daenr_bench.result import Measurement, Skip
from daenr_bench.scenarios.burst import Burst
from daenr_common.errors import BackendUnavailableError, BundleError, DaenrError
from daenr_common.verdict import Verdict
from daenr_export.runtime import registry
from daenr_export.runtime.protocol import GraphSource
from daenr_export.runtime.registry import BackendStatus
from daenr_export.runtime.session import CallSession
from daenr_export.specs import Array, BatchRange

QUICK = Plan((Burst(samples=100),))


def run(bundle: Path, *backends: FakeBackend, clock: FakeClock, **options: object) -> Report:
    return benchmark(bundle, backends=backends, graphs=["responses"], clock=clock, **{"plan": QUICK, **options})


def only(report: Report) -> Measurement:
    (measurement,) = report.result.measurements
    return measurement


def test_a_right_engine_passes_with_its_figures(shared_timed_bundle: Path) -> None:
    clock = FakeClock()
    report = run(shared_timed_bundle, FakeBackend(shared_timed_bundle, clock), clock=clock, plan=Plan((Burst(),)))
    measurement, latency = only(report), only(report).latency
    assert report.result.verdict is Verdict.PASS
    assert report.result.complete
    assert latency is not None
    assert (latency.n, latency.min_ns, latency.mean_ns, latency.max_ns) == (1000, 100_000, 100_000.0, 100_000)
    assert latency.percentiles["p99"].value_ns == latency.percentiles["p99"].upper_bound_ns == 100_000
    assert latency.percentiles["p99.9"].value_ns is None
    assert [block.p50_ns for block in measurement.blocks] == [100_000] * 10
    assert latency.histogram is not None
    assert latency.histogram.counts == (1000,)
    assert measurement.timed_answers_compared == 16
    parity = report.result.accuracy[0].parity
    assert [(p.output, p.batch, p.metrics["max_error_over_scale"]) for p in parity] == [
        ("responses", batch, 0.0) for batch in (1, 2, 3, 8)
    ]
    assert report.samples.keys() == {
        "responses.fake.burst.latency_ns",
        "accuracy.responses.fake.correlation_with_reference",
        "accuracy.responses.fake.error_over_largest",
    }
    assert report.result.bundle.name == "tiny.daenr"


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda number, answer: answer * 1.01, "error 1.0e-02 of its scale, tolerated"),
        (lambda number, answer: np.full_like(answer, np.nan), "NaN or infinite values"),
        (lambda number, answer: answer.astype(np.float64), "is float64"),
        (lambda number, answer: answer[:, :2], "expected float32"),
        (lambda number, answer: answer[:0], "expected float32"),
    ],
)
def test_an_engine_that_is_fast_because_it_is_wrong_fails_and_has_no_figure(
    shared_timed_bundle: Path, spoil: Callable[[int, Array], Array], problem: str
) -> None:
    clock = FakeClock()
    wrong = FakeBackend(shared_timed_bundle, clock, lambda *_: 10, name="wrong", spoil=spoil)
    report = run(shared_timed_bundle, FakeBackend(shared_timed_bundle, clock), wrong, clock=clock)
    right, failed = report.result.accuracy
    assert report.result.verdict is Verdict.FAIL
    assert right.verdict == "pass"
    assert failed.verdict == "fail"
    assert problem in failed.problems[0]
    assert wrong.calls <= COMPARED  # it was never timed
    assert only(report).backend == "fake"
    assert [key for key in report.samples if not key.startswith("accuracy.")] == ["responses.fake.burst.latency_ns"]


def test_an_engine_that_is_right_until_it_is_timed_fails(shared_timed_bundle: Path) -> None:
    clock = FakeClock()
    first: list[Array] = []

    def cached(number: int, answer: Array) -> Array:
        first.append(answer)
        return answer if number < COMPARED else first[0]

    report = run(shared_timed_bundle, FakeBackend(shared_timed_bundle, clock, spoil=cached), clock=clock)
    assert only(report).state == "fail"
    assert only(report).latency is None
    assert only(report).problems[0].startswith("in timed calls: responses: error")


@pytest.mark.parametrize("first_bad_call", [0, COMPARED, COMPARED + 200])
def test_an_engine_that_stops_answering_is_a_fault_and_the_others_are_measured(
    shared_timed_bundle: Path, first_bad_call: int
) -> None:
    clock = FakeClock()

    def broken(number: int, answer: Array) -> Array:
        if number >= first_bad_call:
            raise RuntimeError("the device is lost")
        return answer

    bad = FakeBackend(shared_timed_bundle, clock, name="bad", spoil=broken)
    report = run(shared_timed_bundle, bad, FakeBackend(shared_timed_bundle, clock), clock=clock)
    right = report.result.measurements[-1]
    assert right.latency is not None
    assert right.latency.n == 100
    assert report.result.complete
    assert report.result.verdict is Verdict.FAIL
    if first_bad_call == 0:
        assert "the device is lost" in report.result.accuracy[0].problems[0]
        return
    fault = report.result.measurements[0]
    assert (fault.state, fault.complete) == ("fault", False)
    assert "the device is lost" in fault.problems[0]
    assert (fault.latency is None) == (first_bad_call == COMPARED)


def test_how_many_times_faster_is_told_against_onnxruntime_without_pytorch(shared_timed_bundle: Path) -> None:
    clock = FakeClock()
    backends = [
        FakeBackend(shared_timed_bundle, clock, lambda *_, ns=ns: ns, name=name)
        for name, ns in (("slow", 400_000), ("onnxruntime", 200_000), ("quick", 50_000))
    ]
    result = run(shared_timed_bundle, *backends, clock=clock).result
    assert result.reference_backend == "onnxruntime"
    assert [m.times_faster for m in result.measurements] == [0.5, 1.0, 4.0]
    clock = FakeClock()
    alone = run(shared_timed_bundle, FakeBackend(shared_timed_bundle, clock), clock=clock)
    assert alone.result.reference_backend is None
    assert only(alone).times_faster is None


def test_a_run_that_was_interrupted_says_so(shared_timed_bundle: Path) -> None:
    clock = FakeClock()

    def interrupted(number: int, _: int) -> int:
        if number == COMPARED + 75 + 45:
            raise KeyboardInterrupt
        return 100_000

    report = run(shared_timed_bundle, FakeBackend(shared_timed_bundle, clock, interrupted), clock=clock)
    assert not report.result.complete
    assert only(report).latency is not None
    assert only(report).latency.n == 20
    clock = FakeClock()

    def at_once(number: int, _: int) -> int:
        if number == COMPARED + 20:
            raise KeyboardInterrupt
        return 100_000

    report = run(shared_timed_bundle, FakeBackend(shared_timed_bundle, clock, at_once), clock=clock)
    assert (only(report).state, only(report).latency) == ("cannot tell", None)
    assert report.result.verdict is Verdict.CANNOT_TELL


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let these be all the backends there are."""

    def known(*backends: FakeBackend) -> None:
        by_name = {backend.name: backend for backend in backends}
        statuses = [BackendStatus(b.name, (why := b.why_unavailable()) is None, why or "") for b in backends]
        monkeypatch.setattr(registry, "backends", lambda: tuple(statuses))
        monkeypatch.setattr(registry, "_make", by_name.__getitem__)

    return known


def test_what_cannot_run_is_listed_with_the_reason(shared_timed_bundle: Path, known: Callable[..., None]) -> None:
    clock = FakeClock()
    runs, absent = FakeBackend(shared_timed_bundle, clock), FakeBackend(shared_timed_bundle, clock, name="gpu")
    absent.why_unavailable = lambda: "no CUDA driver"
    known(absent, runs)
    result = benchmark(shared_timed_bundle, plan=QUICK, clock=clock).result
    assert result.skipped == (Skip("gpu", None, "no CUDA driver"),)
    assert [(m.graph, m.backend) for m in result.measurements] == [(graph, "fake") for graph in GRAPHS]
    with pytest.raises(BackendUnavailableError, match="backend gpu: cannot run here: no CUDA driver"):
        benchmark(shared_timed_bundle, backends=["gpu"], plan=QUICK, clock=clock)


class Picky(FakeBackend):
    """Has engines for some graphs only."""

    has: tuple[str, ...] = ()

    def open(self, graph: GraphSource) -> CallSession:
        if graph.spec.name not in self.has:
            raise BackendUnavailableError("bundle", "holds no engine", "export one")
        return super().open(graph)


@pytest.mark.parametrize(
    ("has", "skipped"),
    [((), [None]), (("encoder",), ["readout", "responses"]), (GRAPHS, [])],
)
def test_graphs_that_are_not_opened_are_skipped_with_the_reason(
    shared_timed_bundle: Path, known: Callable[..., None], has: tuple[str, ...], skipped: list[str | None]
) -> None:
    clock = FakeClock()
    picky = Picky(shared_timed_bundle, clock, name="picky")
    picky.has = has
    known(picky)
    result = benchmark(shared_timed_bundle, plan=QUICK, clock=clock).result
    assert [skip.graph for skip in result.skipped] == skipped
    assert all(skip.reason == "bundle: holds no engine; export one" for skip in result.skipped)
    assert [measurement.graph for measurement in result.measurements] == list(has)
    assert result.verdict is (Verdict.PASS if has else Verdict.CANNOT_TELL)
    if skipped:
        with pytest.raises(BackendUnavailableError, match="holds no engine"):
            benchmark(shared_timed_bundle, backends=[picky], plan=QUICK, clock=clock)


def test_a_bundle_that_takes_no_single_images_is_not_measured(tmp_path: Path, known: Callable[..., None]) -> None:
    bundle, clock = make_timed_bundle(tmp_path / "b.daenr", graphs=["encoder"], batch=BatchRange(2, 4, 8)), FakeClock()
    known(FakeBackend(bundle, clock))
    result = benchmark(bundle, plan=QUICK, clock=clock).result
    assert result.verdict is Verdict.CANNOT_TELL
    assert "takes batches of 2 to 8, and single images are timed" in result.skipped[0].reason


def test_graphs_are_chosen_by_name(shared_timed_bundle: Path) -> None:
    clock = FakeClock()
    backend = FakeBackend(shared_timed_bundle, clock)
    report = benchmark(
        shared_timed_bundle, backends=[backend], graphs=["readout", "encoder", "readout"], plan=QUICK, clock=clock
    )
    assert [measurement.graph for measurement in report.result.measurements] == ["readout", "encoder"]
    with pytest.raises(BundleError, match="has no graph 'jiont'"):
        benchmark(shared_timed_bundle, backends=[backend], graphs=["jiont"], plan=QUICK, clock=clock)


def test_golden_answers_that_are_missing_are_a_bad_bundle(shared_tiny_bundle_without_answers: Path) -> None:
    clock = FakeClock()
    with pytest.raises(BundleError, match="holds no"):
        benchmark(shared_tiny_bundle_without_answers, backends=["onnxruntime"], plan=QUICK, clock=clock)


@pytest.fixture
def shared_tiny_bundle_without_answers(tmp_path: Path) -> Path:
    import bundle_factory as factory

    pytest.importorskip("onnxruntime")
    path = tmp_path / "poor.daenr"
    with factory.write_bundle(path) as writer:
        writer.add("graphs/responses.onnx", factory.onnx_graph("responses"))
        entry = writer.add_golden({"image": factory.some_images(2)}, images=2)
        manifest = factory.manifest_of(["responses"], entry)
        from daenr_export.verification.parity import to_manifest

        writer.finish(manifest._replace(tolerances=to_manifest(["fp32"])))
    return path


def test_the_files_hold_everything_and_name_neither_machine_nor_user(shared_timed_bundle: Path, tmp_path: Path) -> None:
    clock = FakeClock()
    report = run(shared_timed_bundle, FakeBackend(shared_timed_bundle, clock), clock=clock)
    path = tmp_path / "out" / "results.json"
    written = report.write(path)
    assert sorted(file.name for file in path.parent.iterdir()) == ["results.json", "results.samples.npz"]
    text = path.read_text("utf-8")
    for secret in (str(Path.home()), str(tmp_path), str(shared_timed_bundle.parent), platform.node()):
        assert secret not in text
    document = json.loads(text)
    assert document["samples"]["file"] == "results.samples.npz"
    key = "responses.fake.burst.latency_ns"
    with np.load(io.BytesIO((path.parent / "results.samples.npz").read_bytes()), allow_pickle=False) as file:
        np.testing.assert_array_equal(
            file["responses.fake.burst.latency_ns"], report.samples["responses.fake.burst.latency_ns"]
        )
        assert file[key].shape == (10, 10)
    assert replace(report.result, samples=written.samples) == written


@pytest.mark.parametrize(("name", "problem"), [("results.npz", "raw samples go"), ("", "is a folder")])
def test_a_file_that_cannot_hold_the_result_is_refused(
    shared_timed_bundle: Path, tmp_path: Path, name: str, problem: str
) -> None:
    clock = FakeClock()
    report = run(shared_timed_bundle, FakeBackend(shared_timed_bundle, clock), clock=clock)
    with pytest.raises(DaenrError, match=problem):
        report.write(tmp_path / name)
