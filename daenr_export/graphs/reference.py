"""What the PyTorch model answers, in float64: the reference that every graph and every engine is held against."""

from __future__ import annotations

import copy

import numpy as np
import torch

from daenr_common.errors import ExportError
from daenr_export.bundle.golden import FEATURES, MAX_IMAGES, key
from daenr_export.graphs.names import cuts_of
from daenr_export.graphs.pixels import Pixels, to_pixels
from daenr_export.specs import Array
from daenr_train.models import DaeNr, inference_parts


def make_golden(model: DaeNr, images: Array, pixels: Pixels | None = None) -> dict[str, Array]:
    """The arrays of a golden file (see `daenr_export.bundle.golden`).

    Computed in float64 and rounded once to float32; codes are int64. Graphs of features are fed with the rounded
    features, because that is what a rig can feed them with.

    Args:
        model: with its trained weights; not changed.
        images: float32 `(N, 1, 32, 32)` in [-1, 1]; the first `MAX_IMAGES` are taken.
        pixels: for graphs that take uint8: the images are rounded to pixels first.

    Raises:
        ExportError: there are no images, or the model answers NaN or infinity.
    """
    if not len(images):
        raise ExportError("example_images", "are none, so no bundle could be verified", "fit the model again")
    images = np.ascontiguousarray(images[:MAX_IMAGES])
    arrays, exact = {"image": images}, images.astype(np.float64)
    if pixels is not None:
        arrays["image"] = to_pixels(images, pixels)
        exact = arrays["image"] * pixels.scale + pixels.offset
        arrays["image.scaled"] = exact.astype(np.float32)
    arrays |= _answers(copy.deepcopy(model).double(), exact)
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ExportError(f"model {model.spec.name}", f"answers NaN or infinity in {name}", "fit the model again")
    return arrays


def _answers(model: DaeNr, images: Array) -> dict[str, Array]:
    parts = inference_parts(model)
    with torch.no_grad():
        image = torch.from_numpy(images)
        features = parts["encoder"](image)
        from_image = _behind(parts, features) | {"features": features}
        from_features = _behind(parts, features.float().double())
    arrays: dict[str, Array] = {}
    for name, cut in cuts_of(model.spec).items():
        answers = from_image if cut.input == "image" else from_features
        arrays |= {key(name, output): _rounded(answers[output]) for output in cut.outputs}
    assert FEATURES in arrays
    return arrays


def _behind(parts: dict[str, torch.nn.Module], features: torch.Tensor) -> dict[str, torch.Tensor]:
    """All that the parts behind the encoder make of features, by name."""
    answers = {}
    if "readout" in parts:
        answers["responses"] = parts["readout"](features)
    if "decoder" in parts:
        answers |= dict(zip(("reconstruction", "codes"), parts["decoder"](features), strict=False))
    return answers


def _rounded(answer: torch.Tensor) -> Array:
    return (answer.float() if answer.is_floating_point() else answer).numpy()
