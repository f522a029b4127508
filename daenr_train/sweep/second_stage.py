"""Table 3's second stage: which neurons a fitted model predicts significantly, and a recording of those alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from daenr_common.errors import RecordingError
from daenr_train.data.recording import Recording

SIGNIFICANCE = 0.05
"""The paper's threshold (figures 3 and 4)."""


def correlation_p_values(correlation: ArrayLike, n_images: ArrayLike) -> NDArray[np.float64]:
    """Two-sided p-value of Pearson correlations over n images, against no correlation; NaN for NaN.

    Args:
        correlation: (M,).
        n_images: how many pairs each was computed from, (M,) or one number.
    """
    r = np.asarray(correlation, np.float64)
    freedom = np.maximum(np.asarray(n_images, np.float64) - 2, 1)
    with np.errstate(divide="ignore"):
        t = np.abs(r) * np.sqrt(freedom / np.maximum(1 - r**2, 0))
    return np.asarray(2 * stats.t.sf(t, freedom))


def significant(correlation: ArrayLike, p_values: ArrayLike) -> NDArray[np.bool_]:
    """Which neurons are predicted significantly: a positive correlation with p ≤ 0.05.

    A neuron without a correlation (it is silent, or predicted as constant) is not.
    """
    return (np.nan_to_num(np.asarray(correlation, np.float64)) > 0) & (
        np.nan_to_num(np.asarray(p_values, np.float64), nan=1.0) <= SIGNIFICANCE
    )


def images_per_neuron(recording: Recording) -> NDArray[np.int64]:
    """How many test images each neuron has a response to, (M,)."""
    shown = ~np.isnan(recording.test_responses)
    return np.asarray(shown.any(axis=0).sum(axis=0), np.int64)


def only_neurons(recording: Recording, neuron_ids: Sequence[str]) -> Recording:
    """The recording with these neurons alone, in the recording's order.

    Raises:
        RecordingError: none are left.
    """
    kept = np.isin(recording.neuron_ids, list(neuron_ids))
    if not kept.any():
        raise RecordingError(recording.region, "has no neurons of this class", "leave this second-stage run out")
    rates = recording.true_test_rates
    return Recording(
        images=recording.images,
        responses=recording.responses[:, kept],
        test_images=recording.test_images,
        test_responses=recording.test_responses[:, :, kept],
        neuron_ids=tuple(np.array(recording.neuron_ids)[kept].tolist()),
        region=recording.region,
        true_test_rates=None if rates is None else rates[:, kept],
        source=recording.source,
    )
