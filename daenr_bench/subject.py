"""A checkpoint to measure where nobody gave one: a cae-fr2 with random weights, as costly to run as a trained one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from daenr_common.extras import require

NEURONS = 103
IMAGES = 64


def make_checkpoint(folder: Path) -> Path:
    """Write `cae_fr2.pt` into a folder, and return its path.

    Raises:
        MissingExtraError: PyTorch is not installed.
    """
    require("torch", extra="export", purpose="making a model to measure")
    from daenr_train.checkpoint import Checkpoint, Provenance, save_checkpoint
    from daenr_train.models import make_model
    from daenr_train.spec import parse_model_name

    spec = parse_model_name("cae-fr2", n_neurons=NEURONS)
    checkpoint = Checkpoint(
        spec=spec,
        weights=make_model(spec, 0).state_dict(),
        example_images=np.random.default_rng(0).uniform(-1, 1, (IMAGES, 1, 32, 32)).astype(np.float32),
        neuron_ids=tuple(f"n{index}" for index in range(NEURONS)),
        recording=Provenance("region1", "random weights", "0" * 64, "0" * 64),
        training={},
        metrics={},
        seed=0,
    )
    path = folder / "cae_fr2.pt"
    save_checkpoint(checkpoint, path)
    return path
