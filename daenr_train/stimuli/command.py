"""What `daenr-train stimuli` does, from a checkpoint to a folder of images."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from daenr_common.files import atomic_directory, check_writable, refuse_to_overwrite
from daenr_train.checkpoint import Checkpoint, load_checkpoint
from daenr_train.stimuli.ascent import Climb
from daenr_train.stimuli.budget import Budget
from daenr_train.stimuli.finding import Space, Stimuli, check_request, find_stimuli
from daenr_train.stimuli.sheet import draw_sheet

KIND, SCHEMA_VERSION = "daenr-stimuli", 1


@dataclass(frozen=True)
class StimuliRequest:
    """What to search, and where to put it.

    Attributes:
        checkpoint: of a model with a readout.
        neurons: positions in the order of its neurons.
        output: the folder to write.
        spaces: where to search; empty for all that the model has.
        mean: grey of the images; None for the mean of the checkpoint's held-out images.
        contrast: standard deviation of the pixels.
        climb: how to search.
        threads: processor threads.
        force: replace a folder that is there.
    """

    checkpoint: Path
    neurons: tuple[int, ...]
    output: Path
    spaces: tuple[Space, ...] = ()
    mean: float | None = None
    contrast: float = 0.1
    climb: Climb = field(default_factory=Climb)
    threads: int = 1
    force: bool = False


def run_stimuli(request: StimuliRequest) -> tuple[Stimuli, Checkpoint]:
    """Search, and write stimuli.npz, stimuli.json and contact_sheet.png.

    Raises:
        DaenrError: an input cannot be used, or the folder exists or cannot be written.
    """
    refuse_to_overwrite(request.output, force=request.force)
    check_writable(request.output)
    checkpoint = load_checkpoint(request.checkpoint)
    spaces = check_request(checkpoint, request.neurons, request.spaces)
    mean = float(checkpoint.example_images.mean(dtype=np.float64)) if request.mean is None else request.mean
    budget = Budget(mean, request.contrast)
    with tqdm(total=request.climb.steps * len(spaces), desc="stimuli", unit="step", disable=None) as bar:
        stimuli = find_stimuli(
            checkpoint,
            request.neurons,
            spaces,
            budget,
            request.climb,
            threads=request.threads,
            on_step=bar.update,
        )
    description = _describe(stimuli, checkpoint, budget, request)
    with atomic_directory(request.output, force=request.force) as folder:
        _write_arrays(folder / "stimuli.npz", stimuli, checkpoint)
        (folder / "stimuli.json").write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
        (folder / "contact_sheet.png").write_bytes(_sheet(stimuli, checkpoint))
    return stimuli, checkpoint


def _write_arrays(path: Path, stimuli: Stimuli, checkpoint: Checkpoint) -> None:
    arrays: dict[str, Any] = {f"images_{kind}": images for kind, images in stimuli.images.items()}
    arrays |= {f"responses_{kind}": responses for kind, responses in stimuli.responses.items()}
    arrays |= {"responses_grey": stimuli.grey, "neurons": np.array(stimuli.neurons)}
    np.savez(path, allow_pickle=False, neuron_ids=np.array(checkpoint.neuron_ids), **arrays)


def _describe(stimuli: Stimuli, checkpoint: Checkpoint, budget: Budget, request: StimuliRequest) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
        "model": checkpoint.spec.name,
        "checkpoint_sha256": checkpoint.sha256,
        "region": checkpoint.recording.region,
        "budget": asdict(budget),
        "climb": asdict(request.climb),
        "threads": request.threads,
        "stimuli": [
            {
                "neuron": neuron,
                "neuron_id": checkpoint.neuron_ids[neuron],
                "response_to_grey": float(stimuli.grey[neuron]),
                "images": {kind: _facts(stimuli, kind, row) for kind in stimuli.images},
            }
            for row, neuron in enumerate(stimuli.neurons)
        ],
    }


def _facts(stimuli: Stimuli, kind: str, row: int) -> dict[str, float]:
    image = stimuli.images[kind][row].astype(np.float64)
    return {
        "response": float(stimuli.own(kind)[row]),
        "mean": float(image.mean()),
        "contrast": float(image.std()),
        "lowest": float(image.min()),
        "highest": float(image.max()),
    }


def _sheet(stimuli: Stimuli, checkpoint: Checkpoint) -> bytes:
    kinds = list(stimuli.images)
    rows = []
    for row, neuron in enumerate(stimuli.neurons):
        cells = [(f"{stimuli.own(kind)[row]:.3g}", stimuli.images[kind][row, 0]) for kind in kinds]
        rows.append((f"{checkpoint.neuron_ids[neuron]} (grey {stimuli.grey[neuron]:.3g})", cells))
    return draw_sheet(kinds, rows)
