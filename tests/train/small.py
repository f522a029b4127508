"""A recording small enough to fit in seconds."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from daenr_train.data import Recording


def make_small_recording() -> Recording:
    """12 linear-rectified neurons that look at smooth noise."""
    rng = np.random.default_rng(0)

    def smooth(count):
        noise = gaussian_filter(rng.standard_normal((count, 1, 32, 32)), (0, 0, 2, 2))
        return np.clip(noise / noise.std() * 0.4, -1, 1).astype(np.float32)

    fields = gaussian_filter(rng.standard_normal((12, 32, 32)), (0, 2, 2)).reshape(12, -1)
    images, test_images = smooth(240), smooth(20)
    rates = np.maximum(images.reshape(240, -1) @ fields.T * 0.3, 0)
    test_rates = np.maximum(test_images.reshape(20, -1) @ fields.T * 0.3, 0)
    return Recording(
        images=images,
        responses=rng.poisson(rates).astype(np.float32),
        test_images=test_images,
        test_responses=rng.poisson(test_rates, (4, *test_rates.shape)).astype(np.float32),
        neuron_ids=tuple(f"n{i}" for i in range(12)),
        region="region1",
        source="tests",
    )
