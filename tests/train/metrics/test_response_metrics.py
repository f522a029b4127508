from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import pearsonr

from daenr_common.errors import RecordingError
from daenr_train import metrics


@pytest.fixture
def responses():
    """(6 repeats, 30 images, 4 neurons) with signal."""
    generator = np.random.default_rng(0)
    return generator.gamma(0.7, generator.gamma(1.0, 1.0, (30, 4)), (6, 30, 4))


@pytest.fixture
def predicted(responses):
    return responses.mean(axis=0) + np.random.default_rng(1).gamma(1.0, 0.3, (30, 4))


def test_correlation_to_average_is_pearsons(predicted, responses):
    scores = metrics.correlation_to_average(predicted, responses)
    expected = [pearsonr(predicted[:, n], responses[:, :, n].mean(0)).statistic for n in range(4)]
    assert scores.per_neuron == pytest.approx(expected)
    assert scores.mean == pytest.approx(np.mean(expected))
    assert scores.median == pytest.approx(np.median(expected))


def test_single_trial_correlation_is_pearsons_over_all_trials(predicted, responses):
    scores = metrics.correlation_single_trial(predicted, responses)
    expected = [pearsonr(np.tile(predicted[:, n], 6), responses[:, :, n].ravel()).statistic for n in range(4)]
    assert scores.per_neuron == pytest.approx(expected)


def test_missing_trials_are_left_out(predicted, responses):
    responses[4:, 10:20] = np.nan
    present = ~np.isnan(responses[:, :, 0])
    tiled = np.broadcast_to(predicted, responses.shape)
    single = metrics.correlation_single_trial(predicted, responses).per_neuron
    assert single[2] == pytest.approx(pearsonr(tiled[present][:, 2], responses[present][:, 2]).statistic)
    average = metrics.correlation_to_average(predicted, responses).per_neuron
    assert average[2] == pytest.approx(pearsonr(predicted[:, 2], np.nanmean(responses, 0)[:, 2]).statistic)


def test_normalised_correlation_divides_by_the_ceiling(predicted, responses):
    expected = metrics.correlation_to_average(predicted, responses).per_neuron / metrics.cc_max(responses)
    assert metrics.correlation_normalised(predicted, responses).per_neuron == pytest.approx(expected)


def test_feve_sensorium_is_the_published_formula(predicted, responses):
    n = 1
    noise = np.mean([np.var(responses[:, i, n], ddof=1) for i in range(30)])
    total = np.var(responses[:, :, n].ravel(), ddof=1)
    error = np.mean((responses[:, :, n] - predicted[:, n]) ** 2)
    scores = metrics.feve_sensorium(predicted, responses, threshold=-np.inf)
    assert scores.per_neuron[n] == pytest.approx(1 - (error - noise) / (total - noise))


def test_feve_klindt_is_the_published_formula(predicted, responses):
    average = responses.mean(axis=0)
    error = ((predicted - average) ** 2).mean(axis=0)
    left = (responses.var(axis=0, ddof=1) / 6).mean(axis=0)
    total = average.var(axis=0, ddof=1)
    assert metrics.feve_klindt(predicted, responses).per_neuron == pytest.approx((total - error) / (total - left))


def test_the_true_rates_explain_all_that_is_explainable():
    generator = np.random.default_rng(3)
    rates = generator.gamma(2.0, 1.0, (3000, 3))
    responses = generator.poisson(rates, (10, 3000, 3)).astype(float)
    assert metrics.feve_sensorium(rates, responses).per_neuron == pytest.approx(1, abs=0.05)
    assert metrics.feve_klindt(rates, responses).per_neuron == pytest.approx(1, abs=0.05)
    assert metrics.correlation_normalised(rates, responses).per_neuron == pytest.approx(1, abs=0.02)
    mean = np.broadcast_to(rates.mean(0), rates.shape)
    assert metrics.feve_sensorium(mean, responses).per_neuron == pytest.approx(0, abs=0.05)


def test_neurons_below_the_threshold_are_excluded_and_counted(predicted, responses):
    noise_only = responses.copy()
    noise_only[:, :, 0] = np.random.default_rng(5).standard_normal((6, 30)) ** 2
    assert metrics.fraction_explainable(noise_only)[0] < 0.15
    scores = metrics.feve_sensorium(predicted, noise_only)
    assert np.isnan(scores.per_neuron[0])
    assert (scores.n_excluded, scores.n_scored) == (1, 3)


def test_silent_and_constant_neurons_are_counted_and_not_scored(predicted, responses):
    responses[:, :, 0] = 0
    responses[:, :, 1] = 0.1
    predicted[:, 2] = 0.3
    for metric in (metrics.correlation_to_average, metrics.correlation_single_trial, metrics.correlation_normalised):
        scores = metric(predicted, responses)
        assert np.isnan(scores.per_neuron[:3]).all()
        assert (scores.n_silent, scores.n_constant, scores.n_excluded, scores.n_scored) == (1, 2, 0, 1)
        assert scores.mean == scores.median == scores.per_neuron[3]
    explained = metrics.feve_klindt(predicted, responses)
    assert np.isfinite(explained.per_neuron[2])  # a constant prediction explains nothing, which is a score
    assert explained.per_neuron[2] <= 0
    assert (explained.n_silent, explained.n_constant) == (1, 1)


def test_a_recording_without_any_scored_neuron_has_no_mean():
    scores = metrics.correlation_to_average(np.ones((4, 2)), np.zeros((3, 4, 2)))
    assert np.isnan(scores.mean)
    assert np.isnan(scores.median)
    assert scores.summary()["mean"] is None


def test_poisson_loss_is_summed_over_neurons_and_averaged_over_images():
    predicted, responses = np.array([[1.0, 2.0], [0.5, 0.0]]), np.array([[0.0, 3.0], [1.0, 0.0]])
    by_hand = [1.0 + 2.0 - 3 * np.log(2.0 + 1e-5), 0.5 - np.log(0.5 + 1e-5)]
    assert metrics.poisson_loss(predicted, responses) == pytest.approx(np.mean(by_hand))
    per_neuron = metrics.poisson_loss_per_neuron(predicted, responses[None])
    assert per_neuron.per_neuron.sum() == pytest.approx(np.mean(by_hand))


def test_poisson_loss_per_neuron_averages_over_trials(predicted, responses):
    responses[5, :12] = np.nan
    terms = predicted - responses * np.log(predicted + 1e-5)
    assert metrics.poisson_loss_per_neuron(predicted, responses).per_neuron == pytest.approx(
        np.nanmean(terms, axis=(0, 1))
    )


def test_all_scores_come_with_their_definition_and_fit_into_json(predicted, responses):
    responses[:, :, 0] = 0
    scores = metrics.score_responses(predicted, responses)
    assert {"correlation_to_average", "feve_sensorium", "feve_klindt", "cc_max", "oracle_jackknife"} <= set(scores)
    summary = json.loads(json.dumps(scores.summary(), allow_nan=False))
    assert summary["correlation_to_average"]["n_silent"] == summary["cc_max"]["n_silent"] == 1
    assert summary["feve_klindt"]["mean"] == pytest.approx(scores["feve_klindt"].mean)
    assert all(array.shape == (4,) for array in scores.per_neuron().values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p[:, :3], r"has shape \(30, 3\), but there are 30 images × 4 neurons"),
        (lambda p: p * np.nan, "holds NaN or infinite"),
        (lambda p: -p, "holds negative responses"),
    ],
)
def test_unusable_predictions_are_refused(predicted, responses, change, message):
    with pytest.raises(RecordingError, match=message):
        metrics.score_responses(change(predicted), responses)


@pytest.mark.parametrize(
    ("predicted", "responses", "message"),
    [
        (np.ones((3, 2)), np.ones((3, 3)), r"has shape \(3, 2\), but the responses \(3, 3\)"),
        (np.ones((3, 2)), np.full((3, 2), np.nan), "NaN or infinite"),
        (-np.ones((3, 2)), np.ones((3, 2)), "negative"),
        (np.ones((0, 2)), np.ones((0, 2)), "shape"),
    ],
)
def test_poisson_loss_refuses_what_it_cannot_score(predicted, responses, message):
    with pytest.raises(RecordingError, match=message):
        metrics.poisson_loss(predicted, responses)
