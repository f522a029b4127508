"""Accuracy in a result: every batch size, the science against declared margins, the recording; bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import bundle_factory as factory
import numpy as np
import pytest
from accuracy_factory import make_recording, rates_of, write_margins
from bench_factory import ALL_GRAPHS, COMPARED, IMAGES, FakeBackend, FakeClock, make_timed_bundle
from jsonschema import Draft202012Validator
from scipy.stats import pearsonr

from daenr_bench import Plan, Report, benchmark
from daenr_bench.contract import contract_of, figure, in_words, limit
from daenr_bench.notes import notes
from daenr_bench.result import Accuracy, Result, schema
from daenr_bench.scenarios.burst import Burst
from daenr_bench.yardstick import Against
from daenr_common.verdict import Verdict
from daenr_export.specs import Array, BatchRange
from daenr_export.verification.margins import own_margins

Spoil = Callable[[int, Array], Array]
QUICK = Plan((Burst(samples=50),))


@pytest.fixture(scope="module")
def whole_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with all six graphs."""
    return make_timed_bundle(tmp_path_factory.mktemp("bundles") / "whole.daenr", graphs=ALL_GRAPHS)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recording(tmp_path_factory.mktemp("recordings") / "recording.npz")


def run(bundle: Path, spoil: Spoil = lambda number, answer: answer, **options: Any) -> Report:
    clock = FakeClock()
    graphs = options.pop("graphs", ["responses"])
    report = benchmark(
        bundle, backends=[FakeBackend(bundle, clock, spoil=spoil)], graphs=graphs, plan=QUICK, clock=clock, **options
    )
    document = json.loads(report.result.json_text())
    assert [error.message for error in Draft202012Validator(schema()).iter_errors(document)] == []
    assert Result.from_json(report.result.json_text()) == report.result
    return report


def only(report: Report) -> Accuracy:
    (accuracy,) = report.result.accuracy
    return accuracy


def test_every_output_is_compared_at_every_batch_size(whole_bundle: Path) -> None:
    report = run(whole_bundle, graphs=None)
    found = {(a.graph, p.output, p.batch) for a in report.result.accuracy for p in a.parity}
    assert found == {
        (graph, output, batch) for graph in ALL_GRAPHS for output in factory.GRAPHS[graph][1] for batch in (1, 2, 3, 8)
    }
    for accuracy in report.result.accuracy:
        assert (accuracy.verdict, accuracy.against) == ("pass", "golden file")
        for parity in accuracy.parity:
            assert parity.verdict == "pass"
            if parity.output == "codes":
                assert (parity.metrics, parity.margins) == ({"code_agreement": 1.0}, {"code_agreement": 0.99})
            else:
                assert {"max_error_over_scale", "relative_rms", "cosine"} <= parity.metrics.keys()
                assert parity.margins["max_error_over_scale"] == 5e-5


@pytest.mark.parametrize(
    ("spoil", "problem", "calls"),
    [
        (lambda number, answer: answer[::-1].copy() if len(answer) == 8 else answer, "error ", COMPARED),
        (lambda number, answer: answer * np.nan if len(answer) == 8 else answer, "NaN or infinite values", COMPARED),
    ],
)
def test_an_engine_that_is_wrong_in_batches_only_is_wrong(
    shared_timed_bundle: Path, spoil: Spoil, problem: str, calls: int
) -> None:
    report = run(shared_timed_bundle, spoil)
    accuracy = only(report)
    assert accuracy.verdict == "fail"
    assert problem in accuracy.problems[0]
    assert accuracy.problems[0].endswith(" (in batches of 8)")
    assert [(p.batch, p.verdict) for p in accuracy.parity] == [(1, "pass"), (2, "pass"), (3, "pass"), (8, "fail")]
    assert {finding.verdict for finding in accuracy.science} == {"pass", "cannot tell"}  # single images are right
    assert report.result.measurements == ()
    assert report.result.verdict is Verdict.FAIL


def test_an_engine_that_cannot_answer_a_batch_is_wrong_there(shared_timed_bundle: Path) -> None:
    def out_of_memory(_: int, answer: Array) -> Array:
        if len(answer) == 3:
            raise MemoryError("no memory on the device")
        return answer

    accuracy = only(run(shared_timed_bundle, out_of_memory))
    assert accuracy.problems[0].endswith(
        "(no memory on the device); check the batch against the manifest (in batches of 3)"
    )
    assert [p.metrics == {} for p in accuracy.parity] == [False, False, True, False]


def test_a_graph_for_single_images_is_compared_with_those(tmp_path: Path) -> None:
    bundle = make_timed_bundle(tmp_path / "b.daenr", graphs=["encoder"], batch=BatchRange(1, 1, 1))
    assert [p.batch for p in only(run(bundle, graphs=["encoder"])).parity] == [1]


def test_without_a_recording_the_loss_was_not_measured(shared_timed_bundle: Path) -> None:
    report = run(shared_timed_bundle)
    correlation, drop = only(report).science
    assert (correlation.metric, correlation.verdict, correlation.counted) == ("correlation_with_reference", "pass", 5)
    assert (drop.metric, drop.value, drop.verdict) == ("recorded_correlation_drop", None, "cannot tell")
    standard = report.result.standard
    assert standard is not None
    assert (standard.margins, standard.margins_file, standard.recording) == (own_margins(), None, None)
    assert standard.neuron_ids == tuple(f"unit-{index}" for index in range(5))
    assert report.result.verdict is Verdict.PASS


def test_the_loss_of_correlation_with_the_recording_is_scipys(shared_timed_bundle: Path, recording: Path) -> None:
    """Answers within the tolerance of tensors, and a recording whose rows are in another order than the images."""
    noise = np.random.default_rng(0).normal(0, 1e-5, (IMAGES, 5)).astype(np.float32)

    def noisy(number: int, answer: Array) -> Array:
        return answer + noise[number] if number < IMAGES else answer  # the single images, in their order

    report = run(shared_timed_bundle, noisy, against=Against(data=recording))
    with np.load(recording) as file:
        recorded = np.nanmean(file["test_responses"][:, :1:-1], axis=0)
    rates = rates_of(factory.some_images(IMAGES))
    both = rates.astype(np.float32), rates.astype(np.float32) + noise
    lost = np.subtract(*([pearsonr(r[:, m].astype(float), recorded[:, m]).statistic for m in range(5)] for r in both))
    drop = only(report).science[1]
    assert (drop.verdict, drop.counted) == ("pass", 5)
    assert drop.value == pytest.approx(lost.max(), rel=1e-3)
    assert f"unit-{np.argmax(lost)}" in drop.reason
    keys = only(report).by_neuron
    arrays = [report.samples[keys[f"recorded_correlation{suffix}"]] for suffix in ("_of_reference", "")]
    np.testing.assert_allclose(arrays[0] - arrays[1], lost, rtol=1e-3, atol=1e-11)
    assert report.result.standard is not None
    identity = report.result.standard.recording
    assert identity is not None
    assert (identity.region, identity.is_the_models, identity.repeats) == ("region1", False, 6)
    assert any("is not number by number the one that the model was fitted to" in line for line in notes(report.result))


def test_a_margin_that_is_broken_fails_names_the_neuron_and_nothing_is_timed(
    shared_timed_bundle: Path, tmp_path: Path
) -> None:
    strict = write_margins(tmp_path / "strict.json", correlation_with_reference=1 - 1e-12)

    def noisy(number: int, answer: Array) -> Array:
        answer[:, 3] += 2e-5 * (number % 2)
        return answer

    assert only(run(shared_timed_bundle, noisy)).verdict == "pass"
    report = run(shared_timed_bundle, noisy, against=Against(margins=strict))
    accuracy = only(report)
    finding = accuracy.science[0]
    assert (finding.verdict, finding.broken, finding.margin) == ("fail", ("unit-3",), 1 - 1e-12)
    assert accuracy.problems == (f"responses: {finding.reason}",)
    assert "of neuron unit-3 is" in finding.reason
    assert all(p.verdict == "pass" for p in accuracy.parity)
    assert report.result.measurements == ()
    assert report.result.verdict is Verdict.FAIL
    assert report.result.standard is not None
    assert report.result.standard.margins_file == "strict.json"
    assert report.result.standard.margins.correlation_with_reference == 1 - 1e-12


def test_reconstructions_and_codes_have_their_findings(whole_bundle: Path) -> None:
    science = {a.graph: [f.metric for f in a.science] for a in run(whole_bundle, graphs=None).result.accuracy}
    images, neurons = ["psnr_drop_db", "ssim_drop", "code_agreement"], ["correlation_with_reference"]
    neurons += ["recorded_correlation_drop"]
    assert science == {
        "encoder": [], "decoder": images, "readout": neurons, "responses": neurons, "reconstruction": images,
        "joint": [*neurons, *images],
    }  # fmt: skip


def test_what_cannot_be_compared_has_no_science(whole_bundle: Path) -> None:
    """The responses of `joint` are of another type; its reconstructions are judged all the same."""

    def other(_: int, answer: Array) -> Array:
        return answer.astype(np.float64) if answer.shape[1:] == (5,) else answer

    accuracy = only(run(whole_bundle, other, graphs=["joint"]))
    assert accuracy.verdict == "fail"
    assert [f.metric for f in accuracy.science] == ["psnr_drop_db", "ssim_drop", "code_agreement"]


def test_the_contract_of_a_result_is_its_worst(whole_bundle: Path, recording: Path) -> None:
    result = run(whole_bundle, graphs=None, against=Against(data=recording)).result
    kept = contract_of(result.accuracy)
    assert [(k.metric, k.verdict) for k in kept] == [
        (metric, Verdict.PASS)
        for metric in (
            "correlation_with_reference", "recorded_correlation_drop", "psnr_drop_db", "ssim_drop", "code_agreement"
        )
    ]  # fmt: skip
    assert in_words(kept).replace("\u00a0", " ") == (
        "Its answers keep their margins: each neuron’s correlation with the reference is at least 1 − 0 (≥ 0.999); no "
        "neuron lost any of its correlation with the recording (≤ 0.005); reconstructions lost no PSNR (≤ 0.1); "
        "reconstructions lost no SSIM (≤ 0.005); 100 % of the codes are equal (≥ 99 %)."
    )
    broken = replace(kept[0].worst, value=0.5, verdict="fail")
    worse = replace(result.accuracy[-1], science=(broken,))
    assert contract_of([*result.accuracy, worse])[0].worst == broken
    assert contract_of([*result.accuracy, worse])[0].verdict is Verdict.FAIL
    assert in_words(contract_of([worse])).startswith("Its answers break a margin: each neuron’s correlation")
    assert contract_of([]) == []
    assert in_words([]) == ""


def test_figures_are_read_as_their_distance_from_one() -> None:
    assert figure("correlation_with_reference", 1 - 4e-9) == "1 − 4·10⁻⁹"
    assert figure("correlation_with_reference", 0.98) == "0.9800"
    assert figure("recorded_correlation_drop", -3e-8) == "−3·10⁻⁸"
    assert figure("psnr_drop_db", 0.25) == "0.25"
    assert figure("psnr_drop_db", None) == "–"
    assert limit("code_agreement", 0.99) == "≥\u00a099\u00a0%"
