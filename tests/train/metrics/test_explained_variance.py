"""Each definition of explained variance next to its published formula, and the code of its authors where it is here."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from daenr_common.extras import is_installed
from daenr_train import metrics


@pytest.fixture
def responses():
    """(6 repeats, 30 images, 5 neurons): four with signal, the last with hardly any."""
    generator = np.random.default_rng(0)
    rates = generator.gamma(1.0, 1.0, (30, 5))
    rates[:, 4] = 1.0
    return generator.gamma(1.5, rates, (6, 30, 5))


@pytest.fixture
def predicted(responses):
    return responses.mean(axis=0) + np.random.default_rng(1).gamma(1.0, 0.3, (30, 5))


@pytest.fixture
def parts(predicted, responses):
    """Error, noise and total variance of the trials, as neuralpredictors computes them."""
    error = ((responses - predicted) ** 2).mean((0, 1))
    noise = responses.var(axis=0, ddof=1).mean(axis=0)
    total = responses.reshape(-1, 5).var(axis=0, ddof=1)
    return error, noise, total


def test_feve_neuralpredictors_is_that_of_all_neurons_without_clipping(predicted, responses, parts):
    error, noise, total = parts
    assert metrics.fraction_explainable(responses)[4] < 0.05
    scores = metrics.feve_neuralpredictors(predicted, responses)
    assert scores.per_neuron == pytest.approx(1 - (error - noise) / (total - noise))
    assert scores.n_scored == 5


def test_feve_sensorium_leaves_out_what_is_hardly_explainable(predicted, responses):
    scores = metrics.feve_sensorium(predicted, responses)
    kept = metrics.fraction_explainable(responses) >= 0.15
    assert kept.tolist() == [True] * 4 + [False]
    assert scores.n_excluded == 1
    assert scores.per_neuron[kept] == pytest.approx(
        metrics.feve_neuralpredictors(predicted, responses).per_neuron[kept]
    )


def test_feve_open_retina_is_clipped_at_both_ends(predicted, responses, parts):
    error, noise, total = parts
    explainable = np.clip(total - noise, 1e-9, None)
    expected = np.clip(1 - np.clip(error - (total - explainable), 0, None) / explainable, 0, None)
    predicted[:, 0] += 9  # worse than the mean
    scores = metrics.feve_open_retina(predicted, responses)
    assert scores.per_neuron[1:] == pytest.approx(expected[1:])
    assert scores.per_neuron[0] == 0
    assert metrics.feve_neuralpredictors(predicted, responses).per_neuron[0] < -1
    kept = metrics.feve_open_retina_kept(predicted, responses)
    assert (kept.n_scored, kept.n_excluded) == (4, 1)
    assert kept.per_neuron[:4] == pytest.approx(scores.per_neuron[:4])


def test_open_retinas_gives_nothing_where_there_is_nothing_to_explain():
    noise_only = np.random.default_rng(3).gamma(1.0, 1.0, (4, 9, 60))
    unexplainable = metrics.fraction_explainable(noise_only) < 0
    assert unexplainable.any()
    scores = metrics.feve_open_retina(np.full((9, 60), 7.0), noise_only)
    assert (scores.per_neuron[unexplainable] == 0).all()


def test_ve_klindt_ignores_the_noise(predicted, responses):
    average = responses.mean(axis=0)
    expected = 1 - ((predicted - average) ** 2).mean(axis=0) / average.var(axis=0, ddof=1)
    assert metrics.ve_klindt(predicted, responses).per_neuron == pytest.approx(expected)


def test_signal_power_explained_is_the_published_formula(predicted, responses):
    """Schoppe et al. 2016, equations 1 and 2; an offset of the prediction does not count."""
    n_repeats, average = len(responses), responses.mean(axis=0)
    summed, single = responses.sum(axis=0).var(axis=0, ddof=1), responses.var(axis=1, ddof=1).sum(axis=0)
    power = (summed - single) / (n_repeats * (n_repeats - 1))
    expected = (average.var(axis=0, ddof=1) - (average - predicted).var(axis=0, ddof=1)) / power
    found = metrics.signal_power_explained(predicted, responses).per_neuron
    assert found[power > 0] == pytest.approx(expected[power > 0])
    assert np.isnan(found[power <= 0]).all()
    assert metrics.signal_power_explained(predicted + 3, responses).per_neuron[:4] == pytest.approx(found[:4])


def test_the_definitions_disagree_on_the_same_predictions(predicted, responses):
    names = [name for name in metrics.DEFINITIONS if name.startswith(("feve", "ve_"))]
    means = {round(getattr(metrics, name)(predicted, responses).mean, 4) for name in names}
    assert len(means) == len(names) == 6


def test_missing_repeats_are_left_out(predicted, responses):
    padded = np.concatenate([responses, np.full((2, 30, 5), np.nan)])
    for name in metrics.DEFINITIONS:
        if hasattr(metrics, name) and name.startswith(("feve", "ve_", "signal_power_explained")):
            score = getattr(metrics, name)
            assert score(predicted, padded).per_neuron == pytest.approx(
                score(predicted, responses).per_neuron, nan_ok=True
            )


@pytest.mark.skipif(
    not is_installed("neuralpredictors"), reason="neuralpredictors is not installed (see constraints.txt)"
)
def test_the_figures_are_those_of_neuralpredictors(predicted, responses):
    from neuralpredictors.measures import np_functions as theirs

    by_image = responses.transpose(1, 0, 2)
    explainable, explained = theirs.fev(by_image, np.repeat(predicted[:, None], 6, axis=1), return_exp_var=True)
    assert metrics.feve_neuralpredictors(predicted, responses).per_neuron == pytest.approx(explained)
    assert metrics.fraction_explainable(responses) == pytest.approx(explainable)
    assert metrics.oracle_jackknife(responses) == pytest.approx(theirs.oracle_corr_jackknife(by_image), abs=1e-6)
    assert metrics.oracle_conservative(responses) == pytest.approx(theirs.oracle_corr_conservative(by_image))
    assert metrics.snr_neuralpredictors(responses) == pytest.approx(theirs.snr(by_image))
    average = theirs.corr(predicted, responses.mean(axis=0), axis=0)
    assert metrics.correlation_to_average(predicted, responses).per_neuron == pytest.approx(average, abs=1e-6)


def test_every_key_says_what_it_is(predicted, responses):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = metrics.score_responses(predicted, responses)
    assert list(scores) == list(metrics.DEFINITIONS)
    assert (
        list(metrics.score_ceilings(responses)) == list(metrics.DEFINITIONS)[-len(metrics.score_ceilings(responses)) :]
    )
    assert all(len(text) < 120 for text in metrics.DEFINITIONS.values())
