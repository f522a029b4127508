"""The science of answers, against SciPy, scikit-image and closed forms; what breaks a margin is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr

from daenr_common import extras
from daenr_export.verification.margins import METRICS, own_margins
from daenr_export.verification.science import Finding, HeldOut, Science, judge

MARGINS = own_margins()
N, M, REPEATS = 30, 6, 8


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def held_out(random: np.random.Generator) -> HeldOut:
    """Thirty images, and six neurons that were recorded with noise around the reference's predictions."""
    rates = reference_of(random)
    recorded = np.maximum(rates + random.normal(0, 0.7, (REPEATS, N, M)), 0)
    recorded[2, 5] = np.nan
    images = random.uniform(-1, 1, (N, 1, 32, 32)).astype(np.float32)
    return HeldOut(images, tuple(f"n{index}" for index in range(M)), recorded)


def reference_of(random: np.random.Generator) -> np.ndarray:
    return random.gamma(1.0, 1.0, (N, M))


@pytest.fixture
def reference() -> np.ndarray:
    return reference_of(np.random.default_rng(0))


def of_responses(answer: np.ndarray, reference: np.ndarray, held_out: HeldOut, **changes: Any) -> Science:
    references = {"responses": reference.astype(np.float32)}
    return judge({"responses": answer.astype(np.float32)}, references, held_out, replace(MARGINS, **changes))


def named(science: Science, metric: str) -> Finding:
    (found,) = [finding for finding in science.findings if finding.metric == metric]
    return found


def test_the_reference_itself_keeps_every_margin(reference: np.ndarray, held_out: HeldOut) -> None:
    reconstruction = (held_out.images * 0.9).astype(np.float32)
    references = {"responses": reference, "reconstruction": reconstruction, "codes": np.arange(N).reshape(N, 1)}
    science = judge(references, references, held_out, MARGINS)
    assert [finding.metric for finding in science.findings] == list(METRICS)
    assert {finding.verdict for finding in science.findings} == {"pass"}
    assert [finding.value for finding in science.findings] == [pytest.approx(1), 0, 0, 0, 1]
    assert [finding.counted for finding in science.findings] == [M, M, N, N, N]
    assert [finding.margin for finding in science.findings] == [0.999, 0.005, 0.1, 0.005, 0.99]
    assert science.problems == ()


def test_correlations_are_scipys(random: np.random.Generator, reference: np.ndarray, held_out: HeldOut) -> None:
    answer = reference + random.normal(0, 0.2, reference.shape)
    science = of_responses(answer, reference, held_out)
    average = np.nanmean(held_out.recorded, axis=0)
    with_reference = [pearsonr(answer[:, m], reference[:, m]).statistic for m in range(M)]
    recorded = [[pearsonr(values[:, m], average[:, m]).statistic for m in range(M)] for values in (reference, answer)]
    found = science.by_neuron
    np.testing.assert_allclose(found["correlation_with_reference"], with_reference, rtol=1e-6)
    np.testing.assert_allclose(found["recorded_correlation_of_reference"], recorded[0], rtol=1e-6)
    np.testing.assert_allclose(found["recorded_correlation"], recorded[1], rtol=1e-6)
    np.testing.assert_allclose(
        found["error_over_largest"], np.abs(answer - reference).max(0) / reference.max(0), rtol=1e-5
    )
    lost = np.subtract(*recorded)
    assert named(science, "correlation_with_reference").value == pytest.approx(min(with_reference), rel=1e-6)
    assert named(science, "recorded_correlation_drop").value == pytest.approx(lost.max(), rel=1e-4)
    assert f"of neuron n{lost.argmax()} is" in named(science, "recorded_correlation_drop").reason


def test_the_neurons_that_break_a_margin_are_named_worst_first(reference: np.ndarray, held_out: HeldOut) -> None:
    answer = reference.copy()
    answer[:, 4] = answer[::-1, 4]
    answer[:, 2] += np.where(np.arange(N) == 3, 1.0, 0.0)
    science = of_responses(answer, reference, held_out)
    finding = named(science, "correlation_with_reference")
    assert (finding.verdict, finding.broken) == ("fail", ("n4", "n2"))
    assert finding.reason.startswith("correlation with the reference of neuron n4 is ")
    assert finding.reason.endswith(", at least 0.999 expected; 2 of 6 neurons break it")
    assert f"responses: {finding.reason}" in science.problems
    assert of_responses(answer, reference, held_out, correlation_with_reference=-1.0).problems != science.problems


@pytest.mark.parametrize(("shift", "verdict"), [(0.0049, "pass"), (0.0051, "fail")])
def test_a_loss_of_correlation_with_the_recording_is_held_against_its_margin(shift: float, verdict: str) -> None:
    """A neuron whose answer is mixed with what is orthogonal to it and to the recording loses a known share."""
    rng = np.random.default_rng(3)
    basis, _ = np.linalg.qr(rng.normal(size=(N, 3)) - np.ones((N, 1)) * rng.normal(size=(N, 3)).mean(0))
    a, b, c = (vector - vector.mean() for vector in basis.T)
    a, b, c = (v / np.linalg.norm(v) for v in (a, b - (b @ a) / (a @ a) * a, c))
    c -= (c @ a) * a + (c @ b) * b
    c /= np.linalg.norm(c)
    r = 0.8
    recorded = 5 + a * r + b * np.sqrt(1 - r**2)
    lost = (r - shift) / r  # the cosine between answer and reference that takes away `shift`
    answer = 5 + a * lost + c * np.sqrt(1 - lost**2)
    science = judge(
        {"responses": answer[:, None]},
        {"responses": (5 + a)[:, None]},
        HeldOut(np.zeros((N, 1, 32, 32)), ("n0",), recorded[None, :, None]),
        replace(MARGINS, correlation_with_reference=0.0),
    )
    finding = named(science, "recorded_correlation_drop")
    assert finding.value == pytest.approx(shift, rel=1e-6)
    assert finding.verdict == verdict


def test_without_recorded_responses_it_was_not_measured_which_is_not_zero(
    reference: np.ndarray, held_out: HeldOut
) -> None:
    science = of_responses(reference, reference, replace(held_out, recorded=None))
    finding = named(science, "recorded_correlation_drop")
    assert (finding.value, finding.verdict) == (None, "cannot tell")
    assert finding.reason == "not measured: no recorded responses were given"
    assert "recorded_correlation" not in science.by_neuron


def test_constant_and_silent_neurons_are_left_out_and_counted(reference: np.ndarray, held_out: HeldOut) -> None:
    reference[:, 1] = 2.0  # predicted as constant
    assert held_out.recorded is not None
    held_out.recorded[:, :, 3] = 0.0  # never responded
    answer = reference + np.random.default_rng(1).normal(0, 1e-6, reference.shape)
    science = of_responses(answer, reference, held_out)
    correlation, drop = science.findings
    assert (correlation.counted, correlation.left_out, correlation.verdict) == (M - 1, 1, "pass")
    assert (drop.counted, drop.left_out, drop.verdict) == (M - 2, 2, "pass")
    assert drop.reason.endswith("(2 hardly vary and have none)")
    assert np.isnan(science.by_neuron["recorded_correlation"]).tolist() == [False, True, False, True, False, False]


def test_where_no_neuron_varies_nobody_can_tell(reference: np.ndarray, held_out: HeldOut) -> None:
    flat = np.full_like(reference, 2.0)
    science = of_responses(flat, flat, held_out)
    for finding in science.findings:
        assert (finding.value, finding.verdict, finding.left_out) == (None, "cannot tell", M)
        assert finding.reason == "constant or silent: none of 6 neurons varies enough over the images"


def test_an_engine_that_answers_a_neuron_with_a_constant_has_lost_all_of_it(
    reference: np.ndarray, held_out: HeldOut
) -> None:
    answer = reference.copy()
    answer[:, 0] = 1.0
    science = of_responses(answer, reference, held_out)
    correlation, drop = science.findings
    assert (correlation.value, correlation.broken) == (0, ("n0",))
    assert drop.value == pytest.approx(science.by_neuron["recorded_correlation_of_reference"][0])
    assert drop.broken == ("n0",)


def test_two_images_are_too_few_for_a_correlation(reference: np.ndarray, held_out: HeldOut) -> None:
    assert held_out.recorded is not None
    few = replace(held_out, images=held_out.images[:2], recorded=held_out.recorded[:, :2])
    science = of_responses(reference[:2], reference[:2], few)
    assert {finding.verdict for finding in science.findings} == {"cannot tell"}
    assert science.findings[0].reason == "2 images are too few for a correlation"


def test_neurons_without_a_name_are_numbered(reference: np.ndarray, held_out: HeldOut) -> None:
    answer = reference.copy()
    answer[:, 5] = answer[::-1, 5]
    science = of_responses(answer, reference, replace(held_out, neuron_ids=()))
    assert named(science, "correlation_with_reference").broken == ("5",)


def of_reconstruction(answer: np.ndarray, reference: np.ndarray, held_out: HeldOut) -> Science:
    return judge({"reconstruction": answer}, {"reconstruction": reference}, held_out, MARGINS)


def test_losses_of_images_are_scikit_images(random: np.random.Generator, held_out: HeldOut) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    images = held_out.images
    reference = images + random.normal(0, 0.2, images.shape)
    answer = images + random.normal(0, 0.22, images.shape)
    science = of_reconstruction(answer, reference, held_out)

    def mean_of(measure: Any, reconstruction: np.ndarray) -> float:
        pairs = zip(images[:, 0].astype(np.float64), reconstruction[:, 0], strict=True)
        return float(np.mean([measure(x, y, data_range=2.0) for x, y in pairs]))

    for metric, measure in (
        ("psnr_drop_db", metrics.peak_signal_noise_ratio),
        ("ssim_drop", metrics.structural_similarity),
    ):
        lost = mean_of(measure, reference) - mean_of(measure, answer)
        assert named(science, metric).value == pytest.approx(lost, rel=1e-6)
        assert named(science, metric).verdict == "fail"
    assert science.problems[0].startswith(
        "reconstruction: loss of PSNR against the images, in dB, in the mean over images, is 0.8"
    )


@pytest.mark.parametrize(("more", "verdict"), [(0.09, "pass"), (0.11, "fail")])
def test_more_error_costs_as_many_decibels(held_out: HeldOut, more: float, verdict: str) -> None:
    reference = held_out.images + 0.1
    answer = held_out.images + 0.1 * 10 ** (more / 20)
    finding = named(of_reconstruction(answer, reference, held_out), "psnr_drop_db")
    assert finding.value == pytest.approx(more, rel=1e-3)
    assert finding.verdict == verdict


def test_a_better_reconstruction_breaks_nothing(held_out: HeldOut) -> None:
    science = of_reconstruction(held_out.images + 0.05, held_out.images + 0.1, held_out)
    assert named(science, "psnr_drop_db").value == pytest.approx(-20 * np.log10(2), rel=1e-3)
    assert science.problems == ()


def test_exact_reconstructions_have_a_finite_loss(held_out: HeldOut) -> None:
    assert named(of_reconstruction(held_out.images, held_out.images, held_out), "psnr_drop_db").value == 0
    worse = of_reconstruction(held_out.images + 0.1, held_out.images, held_out)
    assert named(worse, "psnr_drop_db").value == pytest.approx(200 - 10 * np.log10(4 / 0.01), rel=1e-3)


def test_without_scikit_image_the_similarity_cannot_be_told(held_out: HeldOut, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = extras.importlib.util.find_spec
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None if name == "skimage" else find_spec(name))
    science = of_reconstruction(held_out.images + 0.1, held_out.images + 0.1, held_out)
    assert named(science, "psnr_drop_db").verdict == "pass"
    finding = named(science, "ssim_drop")
    assert (finding.value, finding.verdict) == (None, "cannot tell")
    assert "skimage: is needed for the structural similarity and is not installed" in finding.reason


@pytest.mark.parametrize(("flipped", "verdict"), [(4, "pass"), (5, "fail")])
def test_codes_must_agree_in_99_of_100(flipped: int, verdict: str) -> None:
    codes = np.arange(400).reshape(4, 10, 10)
    other = codes.copy()
    other.reshape(-1)[:flipped] += 1
    science = judge({"codes": other}, {"codes": codes}, HeldOut(np.zeros((4, 1, 32, 32))), MARGINS)
    finding = named(science, "code_agreement")
    assert (finding.value, finding.counted, finding.verdict) == (1 - flipped / 400, 400, verdict)
