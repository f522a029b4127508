"""The checkpoint: one file that holds a trained model and all that is needed to trust it, without pickled code.

Layout (format version 1), readable with `torch.load(weights_only=True)`:

    {"format": "daenr-checkpoint", "version": 1,
     "header": JSON text (the `CheckpointHeader`),
     "weights": {name: tensor}, "example_images": tensor (N, 1, 32, 32)}
"""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from daenr_common.errors import CheckpointError, DaenrError
from daenr_common.files import atomic_file
from daenr_common.hashing import sha256_of_file
from daenr_train.models import DaeNr, make_model
from daenr_train.spec import ModelSpec

FORMAT = "daenr-checkpoint"
VERSION = 1


@dataclass(frozen=True)
class Provenance:
    """The recording that a model was fitted to: its region, where it came from, its content fingerprint and split."""

    region: str
    source: str
    fingerprint: str
    split_fingerprint: str


@dataclass(frozen=True)
class Checkpoint:
    """A trained model with its provenance.

    Attributes:
        spec: what the model is made of.
        weights: the model's state by name.
        example_images: held-out images of the recording, float32 `(N, 1, 32, 32)` in [-1, 1]; an exported bundle is
            verified on them.
        neuron_ids: one for each predicted neuron, in the order of the responses.
        recording: provenance of the data.
        training: the training configuration.
        metrics: scores on held-out data, by name.
        seed: the seed that the fit started from.
        sha256: digest of the file that this was read from; empty for one that was not read from a file.
    """

    spec: ModelSpec
    weights: dict[str, Tensor]
    example_images: NDArray[np.float32]
    neuron_ids: tuple[str, ...]
    recording: Provenance
    training: dict[str, Any]
    metrics: dict[str, Any]
    seed: int
    preprocessing: dict[str, float] = field(default_factory=lambda: {"scale": 1 / 127.5, "offset": -1.0})
    sha256: str = ""

    def model(self) -> DaeNr:
        """The trained model, in eval mode."""
        model = make_model(self.spec, self.seed)
        model.load_state_dict(self.weights)
        return model.eval()


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint; the path holds all of it or what it held before."""
    header = {
        name: value
        for name, value in asdict(checkpoint).items()
        if name not in ("weights", "example_images", "sha256", "spec")
    }
    content = {
        "format": FORMAT,
        "version": VERSION,
        "header": json.dumps(header | {"spec": checkpoint.spec.to_json()}, sort_keys=True),
        "weights": {name: tensor.detach().contiguous() for name, tensor in checkpoint.weights.items()},
        "example_images": torch.from_numpy(np.ascontiguousarray(checkpoint.example_images)),
    }
    write_plain_tensors(path, content)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; nothing in the file is executed.

    Raises:
        CheckpointError: the file is missing, truncated, not a checkpoint, of another version, holds pickled code, or
            its weights do not fit its spec or are not finite.
    """
    content = load_plain_tensors(path, FORMAT, VERSION)
    try:
        header = json.loads(content["header"])
        checkpoint = Checkpoint(
            spec=ModelSpec.from_json(header.pop("spec")),
            weights=content["weights"],
            example_images=content["example_images"].numpy(),
            neuron_ids=tuple(header.pop("neuron_ids")),
            recording=Provenance(**header.pop("recording")),
            sha256=sha256_of_file(path),
            **header,
        )
        checkpoint.model()
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, DaenrError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(path, f"does not hold a whole checkpoint ({first_line})", _FIT_AGAIN) from error
    _require_finite(path, checkpoint)
    return checkpoint


def write_plain_tensors(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and text to a file, whole or not at all.

    Raises:
        DaenrError: the disk is full or the path cannot be written.
    """
    buffer = io.BytesIO()  # torch.save to a path reports a full disk as an error of its own kind
    torch.save(content, buffer)
    with atomic_file(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def load_plain_tensors(path: Path, file_format: str, version: int) -> dict[str, Any]:
    """Read a file of tensors and text that names its format and version.

    Raises:
        CheckpointError: as `load_checkpoint`.
    """
    if not path.is_file():
        raise CheckpointError(path, "does not exist or is not a file", "give the path that daenr-train fit wrote")
    if not zipfile.is_zipfile(path):
        raise CheckpointError(path, "is truncated or is not a checkpoint", _FIT_AGAIN)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            path, "holds pickled Python objects, which were not executed", "use a checkpoint of daenr-train fit"
        ) from error
    except (RuntimeError, EOFError, KeyError, ValueError, OSError) as error:
        raise CheckpointError(path, "is truncated or damaged", _FIT_AGAIN) from error
    if not isinstance(content, dict) or content.get("format") != file_format:
        raise CheckpointError(path, f"is not a {file_format} file", "give the path that daenr-train fit wrote")
    if content.get("version") != version:
        raise CheckpointError(
            path,
            f"has format version {content.get('version')}, this daenr reads {version}",
            "fit the model again or install the daenr that wrote it",
        )
    return content


def _require_finite(path: Path, checkpoint: Checkpoint) -> None:
    tensors = checkpoint.weights | {"example_images": torch.from_numpy(checkpoint.example_images)}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise CheckpointError(path, f"{name} holds NaN or infinity", _FIT_AGAIN)


_FIT_AGAIN = "copy it again or fit the model again"
