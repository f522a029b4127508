"""From the cells of a grid to runs, each with a content address: the same digest means the same result."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daenr_common.hashing import sha256_of
from daenr_train.data.antolik import is_published
from daenr_train.data.recording import Recording
from daenr_train.spec import ModelSpec, parse_model_name
from daenr_train.sweep.grid import Cell

SCHEMA_VERSION = 2
"""Of everything that a sweep writes."""


@dataclass(frozen=True)
class RecordingFacts:
    """What a sweep keeps of a recording.

    Attributes:
        fingerprint: SHA-256 of its content.
        source: the last part of the path that it was read from.
        simulated: whether the true rates are known, that is, whether no animal was recorded.
        published: whether it was read from the files of Antolík et al. 2016, byte for byte: the paper's data.
        n_images: training images.
        n_neurons: neurons.
        n_test_images: test images.
        n_repeats: repeats of a test image, at most.
    """

    fingerprint: str
    source: str
    simulated: bool
    published: bool
    n_images: int
    n_neurons: int
    n_test_images: int
    n_repeats: int

    @classmethod
    def of(cls, recording: Recording) -> RecordingFacts:
        """The facts of a recording."""
        return cls(
            fingerprint=recording.fingerprint,
            source=Path(recording.source or "").name,
            simulated=recording.true_test_rates is not None,
            published=recording.source is not None and is_published(Path(recording.source)),
            n_images=recording.n_images,
            n_neurons=recording.n_neurons,
            n_test_images=recording.n_test_images,
            n_repeats=recording.n_repeats,
        )


@dataclass(frozen=True)
class PlannedCell:
    """A cell and the training configuration that it is fitted with, as plain values."""

    region: str
    model: str
    neurons: str
    seed: int
    training: dict[str, Any]

    @property
    def cell(self) -> Cell:
        """Without the configuration."""
        return Cell(self.region, self.model, self.neurons, self.seed)


@dataclass(frozen=True)
class Run:
    """One fit: a content-addressed unit.

    Attributes:
        cell: what it is in the experiment.
        spec: the model for all neurons of the region.
        training: the training configuration, as plain values.
        recording: fingerprint of the region's recording.
        first_stage: digest of the run that tells which neurons are significant; None for a fit to all of them.
        code: `code_version()`.
    """

    cell: Cell
    spec: ModelSpec
    training: dict[str, Any]
    recording: str
    first_stage: str | None
    code: str

    def identity(self) -> dict[str, Any]:
        """All that decides what the run comes to; the digest of a deterministic first stage names its outcome."""
        return {
            "schema_version": SCHEMA_VERSION,
            "spec": self.spec.to_json(),
            "training": self.training,
            "recording": self.recording,
            "neurons": self.cell.neurons,
            "first_stage": self.first_stage,
            "code": self.code,
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the identity, as 64 hexadecimal digits."""
        return sha256_of(json.dumps(self.identity(), sort_keys=True).encode())


def plan_runs(planned: Iterable[PlannedCell], recordings: Mapping[str, RecordingFacts], code: str) -> dict[Cell, Run]:
    """The runs of an experiment, in the order in which they are started: long before short, first stages first.

    Args:
        planned: the cells; each second stage's first stage is among them.
        recordings: by region.
        code: version of the code that fits.
    """
    runs: dict[Cell, Run] = {}
    for each in sorted(
        planned, key=lambda each: (each.neurons != "all", each.seed, each.model.startswith("cnn"), each.cell)
    ):
        cell, facts = each.cell, recordings[each.region]
        first = runs[cell.first_stage].digest if cell.first_stage else None
        spec = parse_model_name(each.model, n_neurons=facts.n_neurons)
        runs[cell] = Run(cell, spec, each.training, facts.fingerprint, first, code)
    return runs
