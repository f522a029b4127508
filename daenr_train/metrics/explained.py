"""The share of variance that predictions explain, in each definition that the field uses.

The definitions differ by a factor of two on the same predictions, so each carries in its name whose it is. Predictions
are (I, M), test responses (R, I, M) with NaN where a repeat is missing. N is the noise variance (over the repeats of an
image, averaged over images), T the variance of all trials, E the mean squared error over all trials; with a bar, the
same of the responses averaged over repeats.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from daenr_train.metrics import ceilings
from daenr_train.metrics.ceilings import Float64Array
from daenr_train.metrics.responses import checked, mean_over_trials, scored
from daenr_train.metrics.scores import NeuronScores

FEV_THRESHOLD = 0.15
"""Sensorium scores only neurons with at least this fraction of explainable variance."""

LEAST_EXPLAINABLE = 1e-9
"""What open-retina takes for the explainable variance of a neuron that shows none."""


def feve_neuralpredictors(predicted: ArrayLike, test_responses: ArrayLike) -> NeuronScores:
    """1 - (E - N) / (T - N) of all neurons, not clipped (`fev` of neuralpredictors; Cadena et al. 2019).

    T - N may be close to zero or negative, so that single neurons reach any value; look at the median.

    Raises:
        RecordingError: the shapes do not fit.
    """
    return feve_sensorium(predicted, test_responses, threshold=-np.inf)


def feve_sensorium(predicted: ArrayLike, test_responses: ArrayLike, threshold: float = FEV_THRESHOLD) -> NeuronScores:
    """1 - (E - N) / (T - N) of neurons whose (T - N) / T reaches the threshold, not clipped (Sensorium 2022).

    The other neurons are excluded.

    Raises:
        RecordingError: the shapes do not fit.
    """
    prediction, responses = checked(predicted, test_responses)
    noise, total = ceilings.noise_variance(responses), ceilings.total_variance(responses)
    error = mean_over_trials((responses - prediction) ** 2)
    kept = ceilings.fraction_explainable(responses) >= threshold  # False for NaN
    explained = 1 - ceilings.ratio(error - noise, total - noise)
    return scored(np.where(kept, explained, np.nan), prediction, responses, constant_ok=True)


def feve_open_retina(predicted: ArrayLike, test_responses: ArrayLike, threshold: float = -np.inf) -> NeuronScores:
    """1 - max(E - N, 0) / max(T - N, 1e-9), not below 0, of all neurons (open-retina).

    So no neuron counts against the model: where it is worse than the mean, and where there is nothing to explain,
    it gets 0.

    Raises:
        RecordingError: the shapes do not fit.
    """
    prediction, responses = checked(predicted, test_responses)
    noise, total = ceilings.noise_variance(responses), ceilings.total_variance(responses)
    error = mean_over_trials((responses - prediction) ** 2)
    explainable = np.maximum(total - noise, LEAST_EXPLAINABLE)
    noise = total - explainable
    explained = np.maximum(1 - np.maximum(error - noise, 0) / explainable, 0)
    kept = explainable / (total + LEAST_EXPLAINABLE) >= threshold
    return scored(np.where(kept, explained, np.nan), prediction, responses, constant_ok=True)


def feve_open_retina_kept(predicted: ArrayLike, test_responses: ArrayLike) -> NeuronScores:
    """As `feve_open_retina`, of neurons whose fraction of explainable variance is at least 0.15.

    Raises:
        RecordingError: the shapes do not fit.
    """
    return feve_open_retina(predicted, test_responses, FEV_THRESHOLD)


def ve_klindt(predicted: ArrayLike, test_responses: ArrayLike) -> NeuronScores:
    """1 - Ē / T̄, without regard to noise (the `ve` of Klindt et al. 2017, who divide by I where we divide by I - 1).

    Raises:
        RecordingError: the shapes do not fit.
    """
    prediction, responses = checked(predicted, test_responses)
    error, total = _of_averages(prediction, responses)
    return scored(1 - ceilings.ratio(error, total), prediction, responses, constant_ok=True)


def feve_klindt(predicted: ArrayLike, test_responses: ArrayLike) -> NeuronScores:
    """(T̄ - Ē) / (T̄ - N̄), where N̄ is the noise left in the averages; not clipped (the `eve` of Klindt et al. 2017).

    Neurons with T̄ ≤ N̄ have no explainable variance and are excluded; Klindt et al. average over all.

    Raises:
        RecordingError: the shapes do not fit.
    """
    prediction, responses = checked(predicted, test_responses)
    error, total = _of_averages(prediction, responses)
    n_repeats = (~np.isnan(responses)).sum(axis=0, dtype=np.float64)
    n_repeats[n_repeats == 0] = np.nan
    noise = ceilings.noise_variance(responses) * mean_over_trials((1 / n_repeats)[None])
    kept = total > noise  # False for NaN
    explained = np.where(kept, ceilings.ratio(total - error, total - noise), np.nan)
    return scored(explained, prediction, responses, constant_ok=True)


def signal_power_explained(predicted: ArrayLike, test_responses: ArrayLike) -> NeuronScores:
    """(Var(ȳ) - Var(ȳ - ŝ)) / SP, SPE (Sahani & Linden 2003; Schoppe et al. 2016, eq. 2), not clipped.

    A constant offset of the prediction does not count, unlike in the others. Neurons without signal power are excluded.

    Raises:
        RecordingError: the shapes do not fit.
    """
    prediction, responses = checked(predicted, test_responses)
    average = ceilings.average(responses)
    power = ceilings.signal_power(responses)
    left = ceilings.total_variance((average - prediction)[None])
    explained = ceilings.ratio(ceilings.total_variance(average[None]) - left, power)
    return scored(np.where(power > 0, explained, np.nan), prediction, responses, constant_ok=True)


def _of_averages(prediction: Float64Array, responses: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Mean squared error to the averages over repeats, and their unbiased variance over images; (M,) each."""
    average = ceilings.average(responses)
    return mean_over_trials(((average - prediction) ** 2)[None]), ceilings.total_variance(average[None])
