"""Scoring a checkpoint on the test images of a recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from daenr_common.errors import RecordingError
from daenr_train.checkpoint import Checkpoint
from daenr_train.data.recording import Recording
from daenr_train.metrics import ImageScores, ResponseScores, score_images, score_responses
from daenr_train.metrics.scores import number_or_none


@dataclass(frozen=True)
class Evaluation:
    """The scores of one model on one test set; None for what the model does not do.

    Attributes:
        images: scores of the reconstructions, per image.
        responses: scores of the predicted responses, per neuron and metric.
        neuron_ids: the order of the neurons.
    """

    images: ImageScores | None
    responses: ResponseScores | None
    neuron_ids: tuple[str, ...]

    @property
    def summary(self) -> dict[str, Any]:
        """Means, medians and counts by metric, ready for JSON."""
        found: dict[str, Any] = {}
        if self.images is not None:
            found["images"] = self.images.summary()
        if self.responses is not None:
            found["responses"] = self.responses.summary()
        return found

    def to_json(self) -> dict[str, Any]:
        """The summary and all per-neuron scores, ready for JSON; None where a neuron could not be scored."""
        if self.responses is None:
            return self.summary
        per_neuron = {
            name: [number_or_none(float(value)) for value in values]
            for name, values in self.responses.per_neuron().items()
        }
        return self.summary | {"neuron_ids": list(self.neuron_ids), "per_neuron": per_neuron}


def evaluate(checkpoint: Checkpoint, recording: Recording) -> Evaluation:
    """Score a model's reconstructions of, and responses to, the test images.

    Raises:
        RecordingError: the recording's neurons are not those that the model predicts.
    """
    if checkpoint.spec.readout and checkpoint.neuron_ids != recording.neuron_ids:
        raise RecordingError(
            recording.source or "recording",
            f"has {recording.n_neurons} neurons that are not the checkpoint's {len(checkpoint.neuron_ids)}",
            f"give the recording that the model was fitted to (region {checkpoint.recording.region})",
        )
    responses, reconstruction = predict(checkpoint, recording.test_images)
    return Evaluation(
        images=None if reconstruction is None else score_images(recording.test_images, reconstruction),
        responses=None if responses is None else score_responses(responses, recording.test_responses),
        neuron_ids=checkpoint.neuron_ids,
    )


def predict(
    checkpoint: Checkpoint, images: NDArray[np.float32]
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
    """Responses `(B, M)` and reconstructions `(B, 1, 32, 32)` of images `(B, 1, 32, 32)`; None without that part."""
    with torch.no_grad():
        output = checkpoint.model()(torch.tensor(images))
    responses, reconstruction = output.responses, output.reconstruction
    return (
        None if responses is None else responses.numpy(),
        None if reconstruction is None else reconstruction.numpy(),
    )
