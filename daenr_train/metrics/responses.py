"""How well predicted responses ŝ agree with recorded ones, per neuron.

Predictions are (I, M): one per test image and neuron. Test responses are (R, I, M): repeats, images, neurons, NaN
where a repeat is missing. Explained variance is in `explained`, all metrics together in `definitions`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from daenr_common.errors import RecordingError
from daenr_train.metrics import ceilings
from daenr_train.metrics.ceilings import Float64Array
from daenr_train.metrics.scores import NeuronScores

LOG_EPSILON = 1e-5
"""Added to ŝ inside the logarithm of the Poisson loss, as by Klindt et al. 2017."""


def poisson_loss(predicted: ArrayLike, responses: ArrayLike) -> float:
    """Σ over neurons of (ŝ - s log(ŝ + 1e-5)), averaged over images; divide by M for the loss of one neuron.

    The negative log-likelihood of a Poisson count without the term that does not depend on ŝ. Inferred activity is not
    a count, so this is a quasi-likelihood: good for ranking models, without an absolute meaning.

    Args:
        predicted: (I, M), ≥ 0.
        responses: (I, M), finite.

    Raises:
        RecordingError: the shapes differ, a prediction is negative, or a value is not finite.
    """
    prediction, response = np.asarray(predicted, np.float64), np.asarray(responses, np.float64)
    if prediction.ndim != 2 or prediction.shape != response.shape or prediction.size == 0:
        problem = f"has shape {prediction.shape}, but the responses {response.shape}"
        raise RecordingError("predicted", problem, "give both as (images, neurons)")
    if not (np.isfinite(prediction).all() and np.isfinite(response).all()):
        raise RecordingError("predicted", "or the responses hold NaN or infinite values", "average over repeats first")
    _not_negative(prediction)
    loss = prediction - response * np.log(prediction + LOG_EPSILON)
    return float(loss.sum(axis=1).mean())


def poisson_loss_per_neuron(predicted: ArrayLike, test_responses: ArrayLike) -> NeuronScores:
    """(ŝ - s log(ŝ + 1e-5)) averaged over all trials, per neuron; lower is better.

    Raises:
        RecordingError: the shapes do not fit, or a prediction is negative.
    """
    prediction, responses = checked(predicted, test_responses)
    _not_negative(prediction)
    average = ceilings.average(responses)
    weights = (~np.isnan(responses)).sum(axis=0)
    loss = prediction - np.nan_to_num(average) * np.log(prediction + LOG_EPSILON)
    n_trials = weights.sum(axis=0)
    per_neuron = np.where(n_trials > 0, (loss * weights).sum(0) / np.maximum(n_trials, 1), np.nan)
    return NeuronScores(per_neuron, n_excluded=int((n_trials == 0).sum()))


def correlation_single_trial(predicted: ArrayLike, test_responses: ArrayLike) -> NeuronScores:
    """Pearson's correlation of ŝ with the responses of all single trials at once (Sensorium's single-trial score).

    Raises:
        RecordingError: the shapes do not fit.
    """
    prediction, responses = checked(predicted, test_responses)
    n_neurons = responses.shape[2]
    trials = responses.reshape(-1, n_neurons)
    return scored(ceilings.pearson(np.tile(prediction, (len(responses), 1)), trials), prediction, responses)


def correlation_to_average(predicted: ArrayLike, test_responses: ArrayLike) -> NeuronScores:
    """Pearson's correlation of ŝ with the repeat-averaged responses, over images (Antolík 2016, Klindt 2017).

    Raises:
        RecordingError: the shapes do not fit.
    """
    prediction, responses = checked(predicted, test_responses)
    return scored(ceilings.pearson(prediction, ceilings.average(responses)), prediction, responses)


def correlation_normalised(predicted: ArrayLike, test_responses: ArrayLike) -> NeuronScores:
    """CCnorm = CCabs / CCmax (Schoppe et al. 2016, eq. 4); neurons without signal (CCmax = 0) are excluded.

    Raises:
        RecordingError: the shapes do not fit.
    """
    prediction, responses = checked(predicted, test_responses)
    absolute = ceilings.pearson(prediction, ceilings.average(responses))
    ceiling = ceilings.cc_max(responses)
    has_signal = np.nan_to_num(ceiling) > 0
    return scored(np.where(has_signal, absolute / np.where(has_signal, ceiling, 1), np.nan), prediction, responses)


def checked(predicted: ArrayLike, test_responses: ArrayLike) -> tuple[Float64Array, Float64Array]:
    """Predictions (I, M) and test responses (R, I, M) as float64.

    Raises:
        RecordingError: the shapes do not fit, or a prediction is not finite.
    """
    responses = ceilings.as_repeats(test_responses)
    prediction = np.asarray(predicted, dtype=np.float64)
    if prediction.shape != responses.shape[1:]:
        problem = (
            f"has shape {prediction.shape}, but there are {responses.shape[1]} images × {responses.shape[2]} neurons"
        )
        raise RecordingError("predicted", problem, "predict the test images of the same recording")
    if not np.isfinite(prediction).all():
        raise RecordingError("predicted", "holds NaN or infinite values", "check the model's weights and its input")
    return prediction, responses


def _not_negative(prediction: Float64Array) -> None:
    if (prediction < 0).any():
        raise RecordingError("predicted", "holds negative responses", "predict rates ≥ 0, e.g. through a softplus")


def mean_over_trials(values: Float64Array) -> Float64Array:
    """Mean over repeats and images, (M,) for (R, I, M), leaving missing repeats out."""
    return np.asarray(ceilings.average(values.reshape(-1, 1, values.shape[-1]))[0])


def scored(
    per_neuron: Float64Array, prediction: Float64Array | None, responses: Float64Array, *, constant_ok: bool = False
) -> NeuronScores:
    """Give NaN to silent and constant neurons and count them.

    Args:
        per_neuron: (M,).
        prediction: (I, M), or None for a figure of the responses alone.
        responses: (R, I, M).
        constant_ok: whether a constant prediction can be scored, as a squared error can, but a correlation cannot.
    """
    trials = responses.reshape(-1, responses.shape[2])
    silent = ~(np.nan_to_num(trials) != 0).any(axis=0)
    constant: NDArray[np.bool_] = ceilings.is_constant(trials) & ~silent
    if prediction is not None and not constant_ok:
        constant = constant | (ceilings.is_constant(prediction) & ~silent)
    per_neuron = np.where(silent | constant, np.nan, per_neuron)
    excluded = np.isnan(per_neuron) & ~silent & ~constant
    return NeuronScores(per_neuron, int(silent.sum()), int(constant.sum()), int(excluded.sum()))
