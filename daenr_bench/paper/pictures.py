"""Figure 2: ten test images, and what each model makes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daenr_bench.paper.experiment import Experiment, Place
from daenr_bench.paper.layouts import model_title
from daenr_bench.report.drawing.png import png
from daenr_common.errors import DaenrError
from daenr_train.spec import IMAGE_SIZE, LAYERS

MODELS = ("cae", *(f"cae-fr{layer}" for layer in LAYERS))

_GAP, _SCALE = 2, 3

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Strip:
    """A row of images `(10, 32, 32)` in [-1, 1]."""

    title: str
    images: Floats


@dataclass(frozen=True)
class Sheet:
    """The figure.

    Attributes:
        region: whose test images.
        seed: of all models; None if none has finished.
        strips: the test images, then the reconstructions.
        lacking: titles of models without, and why.
    """

    region: str
    seed: int | None
    strips: tuple[Strip, ...]
    lacking: tuple[tuple[str, str], ...]

    def as_png(self) -> bytes:
        """All strips in one picture, from top to bottom."""
        rows = [np.concatenate([_framed(image) for image in strip.images], axis=1) for strip in self.strips]
        return png(np.kron(np.concatenate(rows), np.ones((_SCALE, _SCALE))))


def figure2(experiment: Experiment) -> Sheet:
    """The figure, from the first seed of which most models have finished.

    Raises:
        DaenrError: the images of a finished run are missing or damaged.
    """
    region = experiment.focus
    coverages = {model: experiment.coverage(Place(region, model)) for model in MODELS}
    counts = {seed: sum(seed in each.finished for each in coverages.values()) for seed in experiment.seeds}
    seed = max(counts, key=lambda seed: (counts[seed], -seed), default=None)
    if seed is None or not counts[seed]:
        return Sheet(region, None, (), tuple((model_title(m), c.lack) for m, c in coverages.items()))
    shown = {model: found.finished[seed] for model, found in coverages.items() if seed in found.finished}
    strips: list[Strip] = []
    for model, run in shown.items():
        examples = run.examples()
        if examples is None:
            raise DaenrError(run.folder / "examples.npz", "does not exist", f"delete {run.folder} and --resume")
        if not strips:
            strips.append(Strip("test images", _flat(run.folder, examples["images"])))
        strips.append(Strip(model_title(model), _flat(run.folder, examples["reconstructions"])))
    lacking = tuple(
        (model_title(model), found.lack or f"seed {seed} has not finished")
        for model, found in coverages.items()
        if model not in shown
    )
    return Sheet(region, seed, tuple(strips), lacking)


def _flat(folder: object, images: Floats) -> Floats:
    if images.ndim != 4 or images.shape[1:] != (1, IMAGE_SIZE, IMAGE_SIZE):
        raise DaenrError(f"{folder}/examples.npz", f"holds images of shape {images.shape}", "delete it and --resume")
    return images[:, 0]


def _framed(image: Floats) -> Floats:
    return np.pad(image, _GAP, constant_values=1.0)
