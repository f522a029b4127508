"""On the simulated V1 the true rates and the noise are known, and so is what every estimator should find.

Forty test sets are drawn from the rates of one region. An unbiased estimator's average over them lies within a few
standard errors of the exact value; the biased ones miss it by what their authors say, and in that direction.
"""

from __future__ import annotations

import numpy as np
import pytest

from daenr_train import metrics
from daenr_train.data import simulate
from daenr_train.data.insilico.noise import GAIN_VARIANCE, fit_noise

SETS = 40


class Exact:
    """The rates (I, M) of a simulated region, their noise, and test sets drawn from both."""

    def __init__(self):
        recording = simulate(3, seed=0)
        self.rates = recording.true_test_rates.astype(np.float64)
        self.n_repeats, (self.n_images, n_neurons) = recording.n_repeats, self.rates.shape
        noise = fit_noise(self.rates, np.full(n_neurons, 0.5), np.full(n_neurons, 2.2))
        generator = np.random.default_rng(1)
        repeated = np.broadcast_to(self.rates, (self.n_repeats, *self.rates.shape))
        self.sets = [noise.sample(repeated, generator) for _ in range(SETS)]
        self.signal = self.rates.var(axis=0, ddof=1)
        variance = self.rates * noise.size * (1 + 1 / noise.shape) + GAIN_VARIANCE * self.rates**2
        self.noise = variance.mean(axis=0)
        # the variance of all trials counts an image once for every repeat
        trials = self.n_repeats * self.n_images
        self.total = self.n_repeats * (self.n_images - 1) / (trials - 1) * self.signal + self.noise

    def of_sets(self, estimate):
        """(sets, M)."""
        return np.array([estimate(responses) for responses in self.sets])


@pytest.fixture(scope="module")
def exact():
    return Exact()


@pytest.mark.parametrize(
    ("estimate", "value"),
    [
        (metrics.signal_power, "signal"),
        (metrics.noise_variance, "noise"),
        (metrics.noise_power, "noise"),
        (metrics.total_variance, "total"),
    ],
)
def test_powers_and_variances_have_no_bias(exact, estimate, value):
    found = exact.of_sets(estimate)
    errors = (found.mean(axis=0) - getattr(exact, value)) / (found.std(axis=0, ddof=1) / np.sqrt(SETS))
    assert np.abs(errors).max() < 4.5  # of 102 neurons, each with 39 degrees of freedom
    assert errors.std() == pytest.approx(1, abs=0.25)
    assert np.mean(errors) == pytest.approx(0, abs=3.5 / np.sqrt(len(errors)))


def test_ratios_are_biased_by_less_than_a_hundredth_of_their_range(exact):
    explainable = exact.of_sets(metrics.fraction_explainable).mean(axis=0)
    assert explainable.mean() == pytest.approx((1 - exact.noise / exact.total).mean(), abs=0.005)
    power = exact.of_sets(metrics.normalised_noise_power).mean(axis=0)
    assert power.mean() == pytest.approx((exact.noise / exact.total).mean(), abs=0.005)


def test_the_true_rates_reach_the_closed_form_of_the_ceiling(exact):
    ceiling = np.sqrt(exact.signal / (exact.signal + exact.noise / exact.n_repeats))
    reached = exact.of_sets(lambda s: metrics.correlation_to_average(exact.rates, s).per_neuron).mean()
    assert reached == pytest.approx(ceiling.mean(), abs=0.006)
    single = np.sqrt(exact.signal / (exact.signal + exact.noise))
    reached = exact.of_sets(lambda s: metrics.correlation_single_trial(exact.rates, s).per_neuron).mean()
    assert reached == pytest.approx(single.mean(), abs=0.006)


def test_cc_max_is_a_little_low_where_neurons_without_found_signal_count_as_0(exact):
    ceiling = np.sqrt(exact.signal / (exact.signal + exact.noise / exact.n_repeats))
    found = exact.of_sets(metrics.cc_max)
    assert -0.025 < found.mean() - ceiling.mean() < 0
    clear = exact.signal > np.median(exact.signal)
    assert found[:, clear].mean() == pytest.approx(ceiling[clear].mean(), abs=0.005)


def test_the_single_trial_oracle_lies_between_the_jackknife_and_the_conservative_one(exact):
    """As neuralpredictors says of its two estimators."""
    oracle = np.sqrt(exact.signal / (exact.signal + exact.noise))
    left_out = exact.signal / np.sqrt(
        (exact.signal + exact.noise) * (exact.signal + exact.noise / (exact.n_repeats - 1))
    )
    jackknife, conservative = (
        exact.of_sets(estimate).mean() for estimate in (metrics.oracle_jackknife, metrics.oracle_conservative)
    )
    assert jackknife < oracle.mean() < conservative
    assert jackknife == pytest.approx(left_out.mean(), abs=0.02)
    upper = exact.signal + exact.noise / exact.n_repeats  # the averages still hold noise
    assert conservative == pytest.approx(np.sqrt(upper / (upper + exact.noise)).mean(), abs=0.02)


@pytest.mark.parametrize(
    "score",
    [metrics.feve_neuralpredictors, metrics.feve_sensorium, metrics.feve_klindt, metrics.signal_power_explained],
)
def test_the_true_rates_explain_all_that_is_explainable(exact, score):
    """In the median: a mean over neurons without signal may be anything, which is why Sensorium leaves them out."""
    medians = [score(exact.rates, responses).median for responses in exact.sets]
    assert np.mean(medians) == pytest.approx(1, abs=0.015)


def test_clipped_explained_variance_is_low_by_what_the_clipping_takes(exact):
    means = [metrics.feve_open_retina_kept(exact.rates, responses).mean for responses in exact.sets]
    assert 0.93 < np.mean(means) < 0.99
    noisy = [metrics.ve_klindt(exact.rates, responses).mean for responses in exact.sets]
    expected = 1 - exact.noise / exact.n_repeats / (exact.signal + exact.noise / exact.n_repeats)
    assert np.mean(noisy) == pytest.approx(expected.mean(), abs=0.02)


def test_one_recording_estimates_its_own_oracle():
    recording = simulate(3, seed=0)
    scores = metrics.score_responses(recording.true_test_rates, recording.test_responses)
    assert scores["correlation_to_average"].mean == pytest.approx(scores["cc_max"].mean, abs=0.03)
    assert (
        scores["oracle_jackknife"].mean < scores["correlation_single_trial"].mean < scores["oracle_conservative"].mean
    )
