from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from daenr_common.errors import RecordingError
from daenr_train.sweep.second_stage import correlation_p_values, images_per_neuron, only_neurons, significant


def test_p_values_are_those_of_scipy():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 30, 8))
    y[:, :4] += 0.5 * x[:, :4]
    expected = [stats.pearsonr(x[:, i], y[:, i]) for i in range(8)]
    found = correlation_p_values([result.statistic for result in expected], 30)
    np.testing.assert_allclose(found, [result.pvalue for result in expected], rtol=1e-10)


def test_only_positive_correlations_are_significant():
    correlation = np.array([0.9, -0.9, 0.1, np.nan, 1.0])
    p_values = correlation_p_values(correlation, 20)
    assert np.isnan(p_values[3])
    assert p_values[4] == 0
    assert significant(correlation, p_values).tolist() == [True, False, False, False, True]


def test_a_recording_of_some_neurons(small_recording):
    part = only_neurons(small_recording, ["n7", "n2"])
    assert part.neuron_ids == ("n2", "n7")
    np.testing.assert_array_equal(part.responses, small_recording.responses[:, [2, 7]])
    np.testing.assert_array_equal(part.test_responses, small_recording.test_responses[:, :, [2, 7]])
    assert part.fingerprint != small_recording.fingerprint
    assert images_per_neuron(part).tolist() == [20, 20]


def test_a_class_without_neurons_is_refused(small_recording):
    with pytest.raises(RecordingError, match="region1: has no neurons of this class"):
        only_neurons(small_recording, [])
