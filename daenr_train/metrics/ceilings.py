"""How well any model could do: noise and signal of repeated responses, per neuron.

All functions take test responses (R, I, M): repeats, images, neurons; NaN marks a missing repeat. They return (M,).
A neuron for which a figure is not defined (no response at all, or not enough repeats) gets NaN.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from daenr_common.errors import RecordingError

Float64Array = NDArray[np.float64]


def noise_variance(test_responses: ArrayLike) -> Float64Array:
    """Variance over the repeats of an image, unbiased, averaged over images with at least two repeats.

    Raises:
        RecordingError: the shape is not (R, I, M).
    """
    responses = as_repeats(test_responses)
    return _nan_mean(_nan_variance(responses), axis=0)


def total_variance(test_responses: ArrayLike) -> Float64Array:
    """Variance over all trials of all images, unbiased.

    Raises:
        RecordingError: the shape is not (R, I, M).
    """
    responses = as_repeats(test_responses)
    return _nan_variance(responses.reshape(-1, responses.shape[2]))


def normalised_noise_power(test_responses: ArrayLike) -> Float64Array:
    """Noise variance / total variance (Antolík et al. 2016; the `nnp` of Klindt et al. 2017).

    It is 1 for a neuron that does not care for the images, and may exceed 1 by chance.

    Raises:
        RecordingError: the shape is not (R, I, M).
    """
    return ratio(noise_variance(test_responses), total_variance(test_responses))


def fraction_explainable(test_responses: ArrayLike) -> Float64Array:
    """FEV, the fraction of explainable variance: (total variance - noise variance) / total variance.

    As in Cadena et al. 2019 (PLoS Comput Biol 15:e1006897) and the Sensorium competitions; 1 - normalised noise power.

    Raises:
        RecordingError: the shape is not (R, I, M).
    """
    return 1 - normalised_noise_power(test_responses)


def signal_power(test_responses: ArrayLike) -> Float64Array:
    """The variance over images of the expected response, estimated without bias.

    Sahani & Linden 2003 (NIPS 15) and Schoppe et al. 2016 (Front Comput Neurosci 10:10, eq. 1):
    SP = (Var(Σ_r s_r) - Σ_r Var(s_r)) / (R (R - 1)), which is the covariance over images between two repeats,
    averaged over all pairs of repeats. The latter form is used, on the images that both repeats have, because it
    allows for missing repeats. It may be negative by chance.

    Raises:
        RecordingError: the shape is not (R, I, M).
    """
    responses = as_repeats(test_responses)
    if not np.isnan(responses).any() and len(responses) > 1 and responses.shape[1] > 1:
        n_repeats = len(responses)
        of_sum = responses.sum(axis=0).var(axis=0, ddof=1)
        sum_of = responses.var(axis=1, ddof=1).sum(axis=0)
        return np.asarray((of_sum - sum_of) / (n_repeats * (n_repeats - 1)))
    pairs = [_nan_covariance(responses[a], responses[b]) for a, b in combinations(range(len(responses)), 2)]
    if not pairs:
        return np.full(responses.shape[2], np.nan)
    covariances, n_images = (np.stack(parts) for parts in zip(*pairs, strict=True))
    weights = np.where(np.isnan(covariances), 0, n_images)
    return ratio((np.nan_to_num(covariances) * weights).sum(0), weights.sum(0))


def noise_power(test_responses: ArrayLike) -> Float64Array:
    """The variance over images of a single repeat, averaged over repeats, less the signal power.

    Sahani & Linden 2003; the expected noise variance, and so the same as `noise_variance` but for the estimator.

    Raises:
        RecordingError: the shape is not (R, I, M).
    """
    responses = as_repeats(test_responses)
    of_repeats = _nan_mean(np.stack([_nan_variance(repeat) for repeat in responses]), axis=0)
    return of_repeats - signal_power(responses)


def cc_max(test_responses: ArrayLike) -> Float64Array:
    """The correlation with the repeat-averaged response that the true expected response would reach.

    Hsu, Borst & Theunissen 2004 (Network 15:91); in the form of Schoppe et al. 2016 (eq. 8): √(SP / Var(y)), where y
    is the response averaged over repeats. It is 0 where the estimated signal power is not positive: no signal was found
    in that neuron, so there is nothing to predict. By chance it may exceed 1.

    Raises:
        RecordingError: the shape is not (R, I, M).
    """
    responses = as_repeats(test_responses)
    power = signal_power(responses)
    return np.asarray(np.sqrt(ratio(np.maximum(power, 0), _nan_variance(average(responses)))))


def oracle_jackknife(test_responses: ArrayLike) -> Float64Array:
    """Correlation of each single response with the average of the other repeats, over all trials at once.

    The "oracle" of the Sensorium competitions and neuralpredictors: how well single trials can be predicted from the
    image's other trials. Trials without another repeat do not count.

    Raises:
        RecordingError: the shape is not (R, I, M).
    """
    responses = as_repeats(test_responses)
    others = _average_of_others(responses)
    n_neurons = responses.shape[2]
    return pearson(others.reshape(-1, n_neurons), responses.reshape(-1, n_neurons))


def oracle_jackknife_per_repeat(test_responses: ArrayLike) -> Float64Array:
    """As `oracle_jackknife`, but the correlation is taken over the images of one repeat, then averaged over repeats.

    Raises:
        RecordingError: the shape is not (R, I, M).
    """
    responses = as_repeats(test_responses)
    others = _average_of_others(responses)
    return _nan_mean(np.stack([pearson(o, r) for o, r in zip(others, responses, strict=True)]), axis=0)


def oracle_conservative(test_responses: ArrayLike) -> Float64Array:
    """√(V / (V + N)): V the variance of the averages over images, N the noise variance, both not corrected for size.

    The `oracle_corr_conservative` of neuralpredictors, which says of it that it overestimates the correlation of single
    trials with the true expected response; V still holds noise.

    Raises:
        RecordingError: the shape is not (R, I, M).
    """
    responses = as_repeats(test_responses)
    noise = _nan_mean(_nan_variance(responses, biased=True), axis=0)
    of_averages = _nan_variance(average(responses), biased=True)
    return np.asarray(np.sqrt(ratio(of_averages, of_averages + noise)))


def snr_neuralpredictors(test_responses: ArrayLike) -> Float64Array:
    """Signal-to-noise ratio after Anscombe's transform 2 √(s + 3/8), which gives Poisson noise a variance of 1.

    The `snr` of neuralpredictors: variance over images of the averages (divided by I), over the noise variance.

    Raises:
        RecordingError: the shape is not (R, I, M).
    """
    responses = 2 * np.sqrt(as_repeats(test_responses) + 3 / 8)
    return ratio(_nan_variance(average(responses), biased=True), noise_variance(responses))


def as_repeats(test_responses: ArrayLike) -> Float64Array:
    """Test responses as float64 (R, I, M).

    Raises:
        RecordingError: the shape is another.
    """
    responses = np.asarray(test_responses, dtype=np.float64)
    if responses.ndim != 3 or 0 in responses.shape:
        problem = f"has shape {responses.shape}, expected (repeats, images, neurons)"
        raise RecordingError("test_responses", problem, "give one row per repeat; responses[None] for a single repeat")
    return responses


def average(test_responses: Float64Array) -> Float64Array:
    """The average over repeats, (I, M) for (R, I, M); NaN where an image has no repeat."""
    return _nan_mean(test_responses, axis=0)


def pearson(a: Float64Array, b: Float64Array) -> Float64Array:
    """Pearson's correlation over the rows where both have a value, per column.

    Args:
        a: (K, M), NaN where a value is missing.
        b: (K, M), likewise.

    Returns:
        (M,), NaN where either is constant or fewer than two rows are left.
    """
    missing = np.isnan(a) | np.isnan(b)
    a, b = _centred(np.where(missing, np.nan, a)), _centred(np.where(missing, np.nan, b))
    return np.clip(ratio(np.nansum(a * b, axis=0), np.sqrt(np.nansum(a**2, axis=0) * np.nansum(b**2, axis=0))), -1, 1)


def is_constant(values: Float64Array) -> NDArray[np.bool_]:
    """Whether a column varies by no more than rounding; True for columns without values. (K, M) → (M,)."""
    missing = np.isnan(values)
    high, low = np.where(missing, -np.inf, values).max(0), np.where(missing, np.inf, values).min(0)
    largest = np.where(missing, 0, np.abs(values)).max(0)
    return np.asarray(~(high - low > 1e-12 * largest))


def _centred(values: Float64Array) -> Float64Array:
    """Minus the column mean; exactly zero for constant columns, so that rounding is not taken for variance."""
    return np.where(is_constant(values), 0 * values, values - _nan_mean(values, axis=0))


def _average_of_others(responses: Float64Array) -> Float64Array:
    present = ~np.isnan(responses)
    others = present.sum(axis=0) - present
    return ratio(np.nansum(responses, axis=0) - np.nan_to_num(responses), np.where(present, others, 0))


def _nan_mean(values: Float64Array, axis: int) -> Float64Array:
    return ratio(np.nansum(values, axis=axis), (~np.isnan(values)).sum(axis=axis))


def _nan_variance(values: Float64Array, *, biased: bool = False) -> Float64Array:
    """Variance over the first axis, unbiased unless asked otherwise; NaN where fewer than two values are left."""
    n_values = (~np.isnan(values)).sum(axis=0)
    squares = np.nansum((values - _nan_mean(values, axis=0)) ** 2, axis=0)
    return ratio(squares, np.where(n_values < 2, 0, n_values if biased else n_values - 1))


def _nan_covariance(a: Float64Array, b: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Unbiased covariance per column, and the number of rows it rests on."""
    missing = np.isnan(a) | np.isnan(b)
    a, b = np.where(missing, np.nan, a), np.where(missing, np.nan, b)
    n_rows = (~missing).sum(axis=0)
    products = np.nansum((a - _nan_mean(a, axis=0)) * (b - _nan_mean(b, axis=0)), axis=0)
    return ratio(products, np.maximum(n_rows - 1, 0)), n_rows.astype(np.float64)


def ratio(numerator: NDArray[np.generic], denominator: NDArray[np.generic]) -> Float64Array:
    """The quotient, NaN where the denominator is zero or unknown."""
    bottom = np.asarray(denominator, dtype=np.float64)
    defined = np.isfinite(bottom) & (bottom != 0)
    top = np.asarray(numerator, dtype=np.float64)
    return np.where(defined, top / np.where(defined, bottom, 1), np.nan)
