"""All metrics of responses by the key under which they are reported, each with its definition in a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from numpy.typing import ArrayLike

from daenr_train.metrics import ceilings, explained, responses
from daenr_train.metrics.ceilings import Float64Array
from daenr_train.metrics.scores import NeuronScores, ResponseScores


@dataclass(frozen=True)
class Metric:
    """A score of predictions against test responses, per neuron.

    Attributes:
        score: takes predictions (I, M) and test responses (R, I, M).
        definition: what it is, for captions and tables.
    """

    score: Callable[[ArrayLike, ArrayLike], NeuronScores]
    definition: str


@dataclass(frozen=True)
class Ceiling:
    """What test responses allow, per neuron, whatever the model.

    Attributes:
        estimate: takes test responses (R, I, M) and gives (M,).
        definition: what it is, for captions and tables.
    """

    estimate: Callable[[ArrayLike], Float64Array]
    definition: str


METRICS: dict[str, Metric] = {
    "correlation_to_average": Metric(
        responses.correlation_to_average, "Pearson correlation with the responses averaged over repeats"
    ),
    "correlation_single_trial": Metric(
        responses.correlation_single_trial, "Pearson correlation with the responses of all single trials"
    ),
    "correlation_normalised": Metric(
        responses.correlation_normalised, "correlation_to_average / cc_max; neurons with cc_max > 0"
    ),
    "feve_neuralpredictors": Metric(
        explained.feve_neuralpredictors, "1 - (MSE - noise) / (total - noise) over trials; all neurons, not clipped"
    ),
    "feve_sensorium": Metric(explained.feve_sensorium, "as feve_neuralpredictors; neurons with fev ≥ 0.15"),
    "feve_open_retina": Metric(
        explained.feve_open_retina,
        "as feve_neuralpredictors, clipped to 0 … 1; all neurons, 0 where none is explainable",
    ),
    "feve_open_retina_kept": Metric(explained.feve_open_retina_kept, "as feve_open_retina; neurons with fev ≥ 0.15"),
    "feve_klindt": Metric(
        explained.feve_klindt, "(total - MSE) / (total - noise) of repeat averages; neurons with total > noise"
    ),
    "ve_klindt": Metric(explained.ve_klindt, "1 - MSE / variance of repeat averages, noise and all"),
    "signal_power_explained": Metric(
        explained.signal_power_explained, "(var(average) - var(average - prediction)) / signal_power, where that is > 0"
    ),
    "poisson_loss": Metric(
        responses.poisson_loss_per_neuron, "mean over trials of ŝ - s log(ŝ + 1e-5); less is better"
    ),
}

CEILINGS: dict[str, Ceiling] = {
    "cc_max": Ceiling(
        ceilings.cc_max, "√(signal_power / variance of averages): what correlation_to_average the true rates reach"
    ),
    "fev": Ceiling(ceilings.fraction_explainable, "(total - noise) / total variance of trials"),
    "normalised_noise_power": Ceiling(ceilings.normalised_noise_power, "noise / total variance of trials, 1 - fev"),
    "signal_power": Ceiling(ceilings.signal_power, "variance over images of the expected response, without bias"),
    "noise_power": Ceiling(ceilings.noise_power, "variance over images of single repeats, less signal_power"),
    "snr_neuralpredictors": Ceiling(
        ceilings.snr_neuralpredictors, "variance of averages / noise variance, after Anscombe's transform"
    ),
    "oracle_jackknife": Ceiling(
        ceilings.oracle_jackknife, "correlation of each trial with the average of the other repeats, all trials at once"
    ),
    "oracle_jackknife_per_repeat": Ceiling(
        ceilings.oracle_jackknife_per_repeat, "the same over the images of one repeat, averaged over repeats"
    ),
    "oracle_conservative": Ceiling(
        ceilings.oracle_conservative,
        "√(variance of averages / (that + noise)); an upper bound of the single-trial oracle",
    ),
}

DEFINITIONS: dict[str, str] = {
    **{key: metric.definition for key, metric in METRICS.items()},
    **{key: ceiling.definition for key, ceiling in CEILINGS.items()},
}
"""The definition of every key that `score_responses` gives."""


def score_responses(predicted: ArrayLike, test_responses: ArrayLike) -> ResponseScores:
    """All metrics of one model on one test set, and the ceilings that belong to the test set.

    On a simulated recording the true test rates may be given as predictions: what they score is the exact ceiling.

    Args:
        predicted: (I, M) predicted responses, ≥ 0.
        test_responses: (R, I, M), NaN where a repeat is missing.

    Returns:
        Scores by the keys of METRICS and CEILINGS; `.summary()` is ready for JSON, `.per_neuron()` gives the arrays.

    Raises:
        RecordingError: the shapes do not fit, or a prediction is negative or not finite.
    """
    repeats = ceilings.as_repeats(test_responses)
    scores = {key: metric.score(predicted, repeats) for key, metric in METRICS.items()}
    return ResponseScores(scores | score_ceilings(repeats))


def score_ceilings(test_responses: ArrayLike) -> ResponseScores:
    """What a test set allows, whatever the model.

    Args:
        test_responses: (R, I, M), NaN where a repeat is missing.

    Raises:
        RecordingError: the shape is another.
    """
    repeats = ceilings.as_repeats(test_responses)
    return ResponseScores(
        {key: responses.scored(ceiling.estimate(repeats), None, repeats) for key, ceiling in CEILINGS.items()}
    )
