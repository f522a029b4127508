from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daenr_train.data import Recording


@pytest.fixture
def fields() -> dict[str, Any]:
    """Everything a small valid recording is made of: 12 images, 5 neurons, 3 test images, 4 repeats."""
    generator = np.random.default_rng(0)
    return {
        "images": generator.uniform(-1, 1, (12, 1, 32, 32)).astype(np.float32),
        "responses": generator.gamma(1.0, 1.0, (12, 5)).astype(np.float32),
        "test_images": generator.uniform(-1, 1, (3, 1, 32, 32)).astype(np.float32),
        "test_responses": generator.gamma(1.0, 1.0, (4, 3, 5)).astype(np.float32),
        "neuron_ids": tuple(f"n{index}" for index in range(5)),
        "region": "here",
    }


@pytest.fixture
def recording(fields: dict[str, Any]) -> Recording:
    return Recording(**fields)


def write_antolik_region(folder: Path, n_images: int = 20, n_neurons: int = 6, seed: int = 0) -> Path:
    """A complete region in the published layout, with invented content."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    repeats = generator.gamma(0.5, 1.0, (4, 5, n_neurons))
    arrays = {
        "training_inputs": generator.integers(0, 256, (n_images, 961)) * 1e-6,
        "training_set": generator.gamma(0.5, 1.0, (n_images, n_neurons)),
        "validation_inputs": generator.integers(0, 256, (5, 961)) * 1e-6,
        "raw_validation_set": repeats,
        "validation_set": repeats.mean(axis=0),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def write_sensorium(folder: Path, **changes: Any) -> Path:
    """A Sensorium tree: 6 training, 2 validation, 5 test trials of 2 images (3 and 2 repeats), 1 withheld trial."""
    generator = np.random.default_rng(1)
    tiers = np.array(["train"] * 6 + ["validation"] * 2 + ["test"] * 5 + ["final_test"])
    image_ids = np.array([0, 1, 2, 3, 4, 5, 6, 7, 20, 21, 20, 21, 20, 30])
    pictures = {identity: generator.integers(0, 256, (1, 36, 64)).astype(np.float32) for identity in set(image_ids)}
    responses = generator.gamma(1.0, 1.0, (len(tiers), 7))
    responses[-1] = 0
    for part in ("data/images", "data/responses", "meta/trials", "meta/neurons"):
        (folder / part).mkdir(parents=True)
    for trial, identity in enumerate(image_ids):
        np.save(folder / f"data/images/{trial}.npy", pictures[identity])
        np.save(folder / f"data/responses/{trial}.npy", responses[trial])
    contents = {"meta/trials/tiers": tiers, "meta/trials/frame_image_id": image_ids}
    contents |= {"meta/neurons/unit_ids": np.arange(100, 107)} | changes
    for name, array in contents.items():
        if array is None:
            (folder / f"{name}.npy").unlink(missing_ok=True)
        else:
            np.save(folder / f"{name}.npy", array)
    return folder


@pytest.fixture
def antolik_region() -> Any:
    return write_antolik_region


@pytest.fixture
def sensorium_tree() -> Any:
    return write_sensorium
