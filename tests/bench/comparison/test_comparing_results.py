"""Two results of earlier runs: compared if they were measured alike, refused or *cannot tell* if not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_factory import FakeBackend, FakeClock
from two_bundles import CRITERIA, Latency, checked, constant

import daenr_bench
from daenr_bench import benchmark
from daenr_bench.comparison import Comparison, Pair, Plan, compare
from daenr_bench.comparison.rounds import PacedTimer
from daenr_bench.scenarios.burst import Burst
from daenr_bench.scenarios.paced import Paced
from daenr_bench.scenarios.pacing import Pace
from daenr_common.errors import DaenrError
from daenr_common.verdict import Verdict

Edit = Callable[[dict[str, Any]], object]
Measure = Callable[..., Path]
OLD = Path(__file__).parents[1] / "result_of_schema_1.json"


@pytest.fixture
def measure(shared_timed_bundle: Path, tmp_path: Path) -> Measure:
    """Write the result of one engine, edited as a test wants."""

    def measure(file: str, latency: Latency, edit: Edit | None = None, **options: Any) -> Path:
        clock = FakeClock()
        scenarios = options.pop("scenarios", (Burst(samples=700),))
        backend = FakeBackend(shared_timed_bundle, clock, latency, **options)
        plan = daenr_bench.Plan(scenarios)
        report = benchmark(shared_timed_bundle, backends=[backend], graphs=["responses"], plan=plan, clock=clock)
        path = tmp_path / f"{file}.json"
        report.write(path)
        if edit is not None:
            document = json.loads(path.read_text("utf-8"))
            edit(document)
            path.write_text(json.dumps(document), "utf-8")
        return path

    return measure


def of(base: Path, head: Path, **options: Any) -> Comparison:
    return checked(compare(base, head, plan=Plan(**{"criteria": CRITERIA, **options})))


def only(comparison: Comparison) -> Pair:
    (pair,) = comparison.pairs
    return pair


@pytest.mark.parametrize(("head_ns", "word"), [(101_000, "same"), (115_000, "slower"), (85_000, "faster")])
@pytest.mark.parametrize("timer", [None, PacedTimer()], ids=["burst", "paced"])
def test_what_both_hold_is_compared(measure: Measure, head_ns: int, word: str, timer: PacedTimer | None) -> None:
    scenario = Burst(samples=700) if timer is None else Paced(samples=700)
    base, head = (
        measure(file, constant(ns), scenarios=(scenario,)) for file, ns in (("base", 100_000), ("head", head_ns))
    )
    comparison = of(base, head, **{"timer": timer} if timer else {})
    assert (comparison.word, comparison.measured, comparison.complete) == (word, "apart", True)
    pair = only(comparison)
    assert [line.effect for line in pair.lines] == [word, word]
    assert pair.lines[0].ratio == pytest.approx(head_ns / 100_000)
    assert pair.rounds == (10 if timer is None else 5)
    assert "measured at different times" in comparison.notes[0]


def test_a_peer_that_got_slower_is_no_change_of_the_bundle(measure: Measure) -> None:
    def as_peer(document: dict[str, Any]) -> None:
        document["entrants"][0]["is_peer"] = True

    base, head = (measure(file, constant(ns), as_peer) for file, ns in (("base", 100_000), ("head", 200_000)))
    with pytest.raises(DaenrError, match="holds no burst of the graph responses, but on no backend"):
        of(base, head)
    assert only(checked(compare(base, head, backends=["fake"], plan=Plan(criteria=CRITERIA)))).backend == "fake"


def test_noise_between_rounds_is_in_the_interval(measure: Measure) -> None:
    def noisy(seed: int) -> Latency:
        draws = np.random.default_rng(seed).lognormal(0, 0.3, 1000)
        return lambda number, now_ns: int(100_000 * draws[number // 110])

    assert only(of(measure("base", noisy(3)), measure("head", noisy(4)))).word == "cannot tell"


@pytest.mark.parametrize(
    ("edit", "difference"),
    [
        (lambda d: d["machine"].update(processor="6502"), "another machine: processor is "),
        (lambda d: d["machine"].update(governor="powersave"), "another machine: governor is "),
        (lambda d: d["machine"].update(usable_cores=1000), "usable_cores is "),
        (lambda d: d["settings"]["scenarios"]["burst"].update(lead_in_calls=0), "other settings: lead_in_calls is 10"),
        (
            lambda d: [m.update(timing_boundary="on the device") for m in d["measurements"]],
            "what is timed is not the same",
        ),
    ],
)
def test_what_was_not_measured_alike_is_cannot_tell(measure: Measure, edit: Edit, difference: str) -> None:
    base, head = measure("base", constant(100_000)), measure("head", constant(200_000), edit)
    comparison = of(base, head)
    assert comparison.verdict is Verdict.CANNOT_TELL
    assert difference in only(comparison).problems[0]


def test_more_samples_are_no_other_settings_but_another_rate_is(measure: Measure) -> None:
    base = measure("base", constant(100_000), scenarios=(Burst(), Paced(samples=700)))
    more = measure("more", constant(100_000), scenarios=(Burst(samples=2000), Paced(Pace(200), samples=700)))
    assert of(base, more).word == "same"
    paced = of(base, more, timer=PacedTimer())
    assert "other settings: period_ns is 10000000 in BASE and 5000000 in HEAD" in only(paced).problems


def test_other_packages_are_a_note(measure: Measure) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["packages"]["numpy"] = "0.1"

    comparison = of(measure("base", constant(100_000)), measure("head", constant(100_000), edit))
    assert comparison.word == "same"
    assert any(note.startswith("numpy differs: ") and note.endswith(" and 0.1") for note in comparison.notes)


def test_wrong_answers_fail_even_from_another_machine(measure: Measure) -> None:
    head = measure("head", constant(10), spoil=lambda number, answer: answer * 1.01)
    document = json.loads(head.read_text("utf-8"))
    document["machine"]["processor"] = "6502"
    head.write_text(json.dumps(document), "utf-8")
    comparison = of(measure("base", constant(100_000)), head)
    assert (comparison.word, comparison.verdict) == ("wrong", Verdict.FAIL)
    assert only(comparison).problems[0].startswith("HEAD: responses: error")


@pytest.mark.parametrize(("dying", "word", "code"), [("head", "HEAD died", 1), ("base", "BASE died", 3)])
def test_a_fault_of_an_earlier_run_is_named(measure: Measure, dying: str, word: str, code: int) -> None:
    def dies(number: int, answer: np.ndarray) -> np.ndarray:
        if number > 400:
            raise RuntimeError("the device is lost")
        return answer

    paths = [
        measure(name, constant(100_000), **({"spoil": dies} if name == dying else {})) for name in ("base", "head")
    ]
    comparison = of(*paths)
    assert (comparison.word, comparison.verdict.exit_code) == (word, code)
    assert "the device is lost" in only(comparison).problems[0]


def test_without_the_raw_samples_there_is_no_p99(measure: Measure) -> None:
    base, head = measure("base", constant(100_000)), measure("head", constant(100_000))
    samples = head.with_suffix(".samples.npz")
    content = samples.read_bytes()
    for damage, reason in [
        (lambda: samples.write_bytes(content[:-10]), "head.samples.npz is not the file that belongs to this result"),
        (samples.unlink, "head.samples.npz is not beside the result"),
    ]:
        damage()
        p50, p99 = only(of(base, head)).lines
        assert (p50.effect, p99.effect) == ("same", "cannot tell")
        assert p99.reason.startswith(f"no raw samples: {reason}")


def test_a_run_that_was_interrupted_early_holds_too_little(measure: Measure) -> None:
    def interrupted(number: int, _: int) -> int:
        if number == 8 + 75 + 3 * 80:
            raise KeyboardInterrupt
        return 100_000

    comparison = of(measure("base", constant(100_000)), measure("head", interrupted))
    assert not comparison.complete
    assert only(comparison).lines[0].reason == "3 rounds, at least 5 are needed"
    assert comparison.verdict is Verdict.CANNOT_TELL


def test_what_one_does_not_hold_is_refused(measure: Measure) -> None:
    burst, paced = Burst(samples=50), Paced(samples=50)
    base = measure("base", constant(1000), scenarios=(burst, paced))
    head = measure("head", constant(1000), scenarios=(burst,))
    refusals = [
        ({"backends": ["openvino"]}, r"base\.json: holds no burst of the graph responses on openvino, but on fake; "),
        (
            {"graph": "joint"},
            r"base\.json: holds no burst of the graph joint, but on no backend; choose what both hold",
        ),
        ({"plan": Plan(PacedTimer())}, r"head\.json: holds no paced of the graph responses, but on no backend; "),
    ]
    for options, problem in refusals:
        with pytest.raises(DaenrError, match=problem):
            compare(base, head, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"schema_version": 9}', "schema_version is 9, this daenr reads 1, 2"),
        ('{"hello": 1}', "schema_version is None"),
        ("{", "Expecting property name"),
        ("\udcff", "cannot be read"),
    ],
)
def test_what_is_no_result_is_refused_in_one_line(measure: Measure, tmp_path: Path, text: str, problem: str) -> None:
    bad = tmp_path / "bad.json"
    bad.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DaenrError, match=problem) as refused:
        compare(measure("base", constant(1000)), bad)
    assert "bad.json" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_result_of_the_first_version_was_timed_otherwise(measure: Measure) -> None:
    same = compare(OLD, OLD, graph="responses", backends=["onnxruntime"])
    assert only(same).word == "same"
    new = measure("new", constant(100_000), name="onnxruntime")
    assert of(OLD, new).verdict is Verdict.CANNOT_TELL


def test_a_backend_that_head_does_not_hold_is_no_pass(measure: Measure, shared_timed_bundle: Path) -> None:
    clock = FakeClock()
    backends = [FakeBackend(shared_timed_bundle, clock, name=name) for name in ("fake", "other")]
    report = benchmark(
        shared_timed_bundle, backends=backends, graphs=["responses"], plan=daenr_bench.Plan((Burst(),)), clock=clock
    )
    head = measure("head", constant(100_000))
    both = head.with_name("both.json")
    replace(report).write(both)
    comparison = of(both, head)
    assert [pair.word for pair in comparison.pairs] == ["same", "cannot tell"]
    assert comparison.verdict is Verdict.CANNOT_TELL
    assert [skip.backend for skip in of(head, both).skipped] == ["other"]
