"""What the suites measure where no bundle is given: a cae-fr2 with random weights, as costly as trained ones."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

CALLS = 1000
"""Timed calls of each benchmark; enough for a p99."""

WARM_UP_CALLS = 100
NEURONS = 103
IMAGES = 64


class Subject(NamedTuple):
    """A bundle, and what it was exported from if that is known."""

    bundle: Path
    checkpoint: Path | None


def make_subject(folder: Path) -> Subject:
    from daenr_export import export
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
    return Subject(export(path).bundle, path)
