"""Recordings of the neurons of small bundles, and margins, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bundle_factory as factory
import numpy as np
from bench_factory import IMAGES

from daenr_export.verification.margins import METRICS, own_margins
from daenr_train.data import Recording
from daenr_train.data.npz import write_npz

REPEATS = 6


def rates_of(images: np.ndarray) -> np.ndarray:
    """What the model of small bundles predicts, `(N, M)`."""
    features = factory.reference("encoder", images)["features"]
    return factory.reference("readout", features)["responses"].astype(np.float64)


def make_recording(path: Path, **changes: Any) -> Path:
    """A recording whose test images are a bundle's golden images in another order, with two more among them."""
    rng = np.random.default_rng(5)
    images = factory.some_images(IMAGES)
    test_images = np.concatenate([factory.some_images(2, seed=9), images[::-1]])
    rates = rates_of(test_images)
    recorded = np.maximum(rates + rng.normal(0, 0.3 * rates.std(0), (REPEATS, *rates.shape)), 0)
    recorded[1, 3] = np.nan
    fields: dict[str, Any] = {
        "images": factory.some_images(12, seed=4),
        "responses": rng.gamma(1.0, 1.0, (12, factory.NEURONS)).astype(np.float32),
        "test_images": test_images,
        "test_responses": recorded.astype(np.float32),
        "neuron_ids": tuple(f"unit-{index}" for index in range(factory.NEURONS)),
        "region": "region1",
    }
    write_npz(Recording(**(fields | changes)), path)
    return path


def write_margins(path: Path, **changes: Any) -> Path:
    """Daenr's own margins with some changed."""
    document = {name: own_margins().of(name) for name in METRICS} | {"schema_version": 1}
    path.write_text(json.dumps(document | changes), "utf-8")
    return path
