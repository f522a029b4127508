from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr

from daenr_common.errors import RecordingError
from daenr_train import metrics
from daenr_train.metrics.ceilings import pearson


def noisy_repeats(signal_variance, noise_variance, n_repeats=10, n_images=4000, n_neurons=4, seed=0):
    """Gaussian responses whose signal and noise variance are known."""
    generator = np.random.default_rng(seed)
    signal = np.sqrt(signal_variance) * generator.standard_normal((n_images, n_neurons))
    return signal + np.sqrt(noise_variance) * generator.standard_normal((n_repeats, n_images, n_neurons))


@pytest.mark.parametrize(("signal", "noise"), [(1.0, 1.0), (1.0, 9.0), (4.0, 0.5)])
def test_known_variances_give_the_closed_forms(signal, noise):
    responses = noisy_repeats(signal, noise)
    assert metrics.noise_variance(responses) == pytest.approx(noise, rel=0.05)
    assert metrics.total_variance(responses) == pytest.approx(signal + noise, rel=0.05)
    assert metrics.signal_power(responses) == pytest.approx(signal, rel=0.12)
    assert metrics.normalised_noise_power(responses) == pytest.approx(noise / (signal + noise), rel=0.05)
    assert metrics.fraction_explainable(responses) == pytest.approx(signal / (signal + noise), rel=0.1)
    assert metrics.cc_max(responses) == pytest.approx(np.sqrt(signal / (signal + noise / 10)), rel=0.05)
    jackknife = signal / np.sqrt((signal + noise) * (signal + noise / 9))
    assert metrics.oracle_jackknife(responses) == pytest.approx(jackknife, abs=0.025)
    assert metrics.oracle_jackknife_per_repeat(responses) == pytest.approx(jackknife, abs=0.025)


def test_signal_power_is_the_average_covariance_between_repeats():
    responses = noisy_repeats(1.0, 2.0, n_repeats=4, n_images=9)
    pairs = [np.cov(responses[a, :, 2], responses[b, :, 2])[0, 1] for a in range(4) for b in range(a)]
    assert metrics.signal_power(responses)[2] == pytest.approx(np.mean(pairs))


def test_missing_repeats_change_the_figures_little():
    responses = noisy_repeats(1.0, 2.0)
    holes = responses.copy()
    holes[7:, ::3] = np.nan
    for figure in (
        metrics.signal_power,
        metrics.noise_variance,
        metrics.fraction_explainable,
        metrics.oracle_jackknife,
    ):
        assert figure(holes) == pytest.approx(figure(responses), rel=0.1)


def test_padding_with_missing_repeats_changes_nothing():
    responses = noisy_repeats(1.0, 2.0, n_repeats=3, n_images=20)
    padded = np.concatenate([responses, np.full((2, 20, 4), np.nan)])
    for figure in (
        metrics.signal_power,
        metrics.noise_variance,
        metrics.total_variance,
        metrics.cc_max,
        metrics.oracle_jackknife,
        metrics.oracle_jackknife_per_repeat,
    ):
        assert figure(padded) == pytest.approx(figure(responses))


def test_a_neuron_without_signal_has_a_ceiling_of_zero():
    responses = np.zeros((2, 4, 1))
    responses[:, :, 0] = [[0, 1, 0, 1], [1, 0, 1, 0]]
    assert metrics.signal_power(responses) < 0
    responses[0, 0] = 1  # so that the average over repeats varies
    assert metrics.cc_max(responses) == 0


def test_a_silent_neuron_has_no_ceiling():
    silent = np.zeros((3, 5, 2))
    assert np.isnan(metrics.cc_max(silent)).all()
    assert np.isnan(metrics.normalised_noise_power(silent)).all()
    assert np.isnan(metrics.oracle_jackknife(silent)).all()


def test_one_repeat_tells_nothing_about_noise():
    single = np.random.default_rng(0).gamma(1.0, 1.0, (1, 6, 2))
    for figure in (metrics.noise_variance, metrics.signal_power, metrics.cc_max, metrics.oracle_jackknife):
        assert np.isnan(figure(single)).all()


@pytest.mark.parametrize("shape", [(5, 3), (0, 5, 3), (2, 0, 3), (2, 5, 0), (2, 3, 4, 5)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(RecordingError, match=r"test_responses: has shape .* expected \(repeats, images, neurons\)"):
        metrics.cc_max(np.zeros(shape))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), n_rows=st.integers(3, 30), share=st.floats(0, 0.5))
def test_correlation_is_that_of_scipy(seed, n_rows, share):
    generator = np.random.default_rng(seed)
    a, b = generator.standard_normal((2, n_rows, 1))
    a[generator.random((n_rows, 1)) < share] = np.nan
    present = ~np.isnan(a[:, 0])
    found = pearson(a, b)[0]
    if present.sum() < 2:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(pearsonr(a[present, 0], b[present, 0]).statistic, abs=1e-9)


@pytest.mark.parametrize("level", [0.0, 0.1, 1e-30, 1e9])
def test_a_constant_has_no_correlation(level):
    varied = np.random.default_rng(0).standard_normal((7, 1))
    assert np.isnan(pearson(np.full((7, 1), level), varied))
