"""Reading a finished sweep. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from daenr_common.errors import DaenrError
from daenr_common.strict_json import FieldError, decode
from daenr_train.spec import ModelSpec
from daenr_train.sweep.cost import RunCost
from daenr_train.sweep.folder import read_json
from daenr_train.sweep.grid import Cell
from daenr_train.sweep.plan import SCHEMA_VERSION, RecordingFacts
from daenr_train.sweep.table import KIND


@dataclass(frozen=True)
class Result:
    """One run of a sweep.

    Attributes:
        cell: region, model, class of neurons and seed.
        status: `finished`, `failed` or `missing`.
        entry: its object in results.json.
        folder: its folder.
    """

    cell: Cell
    status: str
    entry: dict[str, Any]
    folder: Path

    def per_neuron(self, metric: str) -> NDArray[np.float64]:
        """The (M,) scores of a metric, NaN where a neuron could not be scored.

        Raises:
            DaenrError: the run's scores are missing or damaged, or have no such metric.
        """
        path = self.folder / "scores.json"
        try:
            return np.array(read_json(path)["per_neuron"][metric], np.float64)
        except KeyError as error:
            raise DaenrError(
                path, f"holds no scores of {metric} per neuron", "see results.csv for what it has"
            ) from error

    def examples(self) -> dict[str, NDArray[np.float32]] | None:
        """`images` and `reconstructions`, each (10, 1, 32, 32); None for a model without a decoder.

        Raises:
            DaenrError: the file is damaged.
        """
        path = self.folder / "examples.npz"
        if not path.exists():
            return None
        try:
            with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as content:
                return {name: content[name] for name in ("images", "reconstructions")}
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise DaenrError(path, f"is damaged ({error})", f"delete {path.parent} and --resume") from error

    def cost(self) -> RunCost | None:
        """What a finished run cost; None if that is not known.

        Raises:
            DaenrError: what is known is damaged.
        """
        path = self.folder / "timing.json"
        if self.status != "finished" or not path.exists():
            return None
        try:
            return RunCost.of(ModelSpec.from_json(self.entry["spec"]), self.entry["training"], read_json(path))
        except (KeyError, TypeError) as error:
            raise DaenrError(path, f"is not whole ({error})", "delete it: the scores do not need it") from error


@dataclass(frozen=True)
class Results:
    """A sweep's results.

    Attributes:
        path: the folder.
        code: version of the code that fitted.
        recordings: by region.
        runs: sorted by cell.
    """

    path: Path
    code: str
    recordings: dict[str, RecordingFacts]
    runs: tuple[Result, ...]


def read_results(path: Path) -> Results:
    """Read the results in a sweep's folder.

    Raises:
        DaenrError: results.json is missing, damaged, of another schema version, or mixes recordings of a region.
    """
    file = path / "results.json"
    if not file.is_file():
        problem = "holds no results.json" if path.is_dir() else "is not a folder" if path.exists() else "does not exist"
        raise DaenrError(path, problem, "give the --output of daenr-train sweep")
    content = read_json(file)
    if content.get("kind") != KIND:
        raise DaenrError(file, "holds no results of daenr-train sweep", "give the --output of a sweep")
    if content.get("schema_version") != SCHEMA_VERSION:
        problem = f"has schema version {content.get('schema_version')!r}, this daenr reads {SCHEMA_VERSION}"
        raise DaenrError(file, problem, "install the daenr that wrote it, or sweep into another folder")
    try:
        recordings = decode(dict[str, RecordingFacts], content["recordings"], "recordings")
        runs = tuple(_result(path, entry) for entry in content["runs"])
        code = decode(str, content["code"], "code")
    except FieldError as error:
        raise DaenrError(file, str(error), "run the sweep again with --resume") from error
    except (KeyError, TypeError) as error:
        raise DaenrError(file, f"is not whole ({error})", "run the sweep again with --resume") from error
    for run in runs:
        known = recordings.get(run.cell.region)
        if known is None or run.entry.get("recording") != known.fingerprint:
            raise DaenrError(file, f"mixes recordings of {run.cell.region} ({run.cell})", "keep them in two folders")
    return Results(path, code, recordings, runs)


def _result(path: Path, entry: dict[str, Any]) -> Result:
    cell = decode(Cell, {name: entry[name] for name in ("region", "model", "neurons", "seed")}, "runs")
    for name in ("training", "spec"):
        decode(dict[str, Any], entry[name], f"runs.{name}")
    digest = decode(str, entry["digest"], "runs.digest")
    return Result(cell, decode(str, entry["status"], "runs.status"), entry, path / "runs" / digest)
