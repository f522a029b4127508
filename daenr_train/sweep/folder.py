"""The folder of a sweep: what was planned, one folder per run, and a lock that only one driver holds.

sweep.json               recordings and planned cells
runs/<digest>/run.json   what the run is
              scores.json, timing.json, examples.npz, checkpoint.pt    once it has finished
              error.json                                               if it failed
              fit.state                                                between two steps
results.csv, results.json, timing.csv                                  written by `table`
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daenr_common.errors import DaenrError, OutputExistsError
from daenr_common.files import atomic_file, check_writable
from daenr_common.strict_json import FieldError, decode, encode
from daenr_train.sweep.plan import SCHEMA_VERSION, PlannedCell, RecordingFacts, Run

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

KIND = "daenr-sweep"
LOCK, PLAN = ".lock", "sweep.json"


@dataclass(frozen=True)
class Plan:
    """What a folder is a sweep of.

    Attributes:
        recordings: by region.
        cells: sorted.
    """

    recordings: dict[str, RecordingFacts]
    cells: tuple[PlannedCell, ...]
    schema_version: int = SCHEMA_VERSION
    kind: str = KIND

    def extended(self, other: Plan, where: Path) -> Plan:
        """This plan and another one, which may add cells but not change any.

        Raises:
            DaenrError: the other one has another recording of a region, or other settings for a cell.
        """
        for region, facts in other.recordings.items():
            known = self.recordings.get(region, facts)
            if known.fingerprint != facts.fingerprint:
                fingerprints = f"{known.fingerprint[:12]}, not {facts.fingerprint[:12]}"
                problem = f"is a sweep on another recording of {region} ({fingerprints})"
                raise OutputExistsError(where, problem, "give that recording, or another --output")
        cells = {each.cell: each for each in self.cells}
        for new in other.cells:
            old = cells.setdefault(new.cell, new)
            if different := sorted(n for n, value in new.training.items() if old.training.get(n) != value):
                problem = f"has {new.cell} with other {', '.join(different)}"
                raise OutputExistsError(where, problem, "use the same settings, or another --output")
        return replace(
            self,
            recordings=dict(sorted((self.recordings | other.recordings).items())),
            cells=tuple(cells[cell] for cell in sorted(cells)),
        )


def read_plan(folder: Path) -> Plan:
    """The plan of a sweep's folder.

    Raises:
        DaenrError: the folder is none of a sweep, or of another schema version.
    """
    content = read_json(folder / PLAN)
    if content.get("kind") != KIND or content.get("schema_version") != SCHEMA_VERSION:
        problem = f"is not of schema version {SCHEMA_VERSION} (found {content.get('schema_version')!r})"
        raise DaenrError(folder / PLAN, problem, "use the daenr that wrote it, or another --output")
    try:
        return decode(Plan, content)
    except FieldError as error:
        raise DaenrError(folder / PLAN, str(error), "restore it, or use another --output") from error


class SweepFolder:
    """A sweep's folder, open for the one driver that holds its lock (see `open_folder`)."""

    def __init__(self, path: Path, plan: Plan) -> None:
        self.path = path
        self.plan = plan

    def of_run(self, run: Run) -> Path:
        """The folder of a run."""
        return self.path / "runs" / run.digest

    def begin(self, run: Run) -> Path:
        """Make a run's folder; returns the path of its fit's state."""
        folder = self.of_run(run)
        write_json(folder / "run.json", {"cell": encode(run.cell), **run.identity()})
        return folder / "fit.state"

    def scores(self, run: Run) -> dict[str, Any] | None:
        """The scores of a finished run; None if it has not finished.

        Raises:
            DaenrError: they are damaged or belong to another run.
        """
        path = self.of_run(run) / "scores.json"
        if not path.exists():
            return None
        scores = read_json(path)
        if scores.get("digest") != run.digest:
            raise DaenrError(path, "belongs to another run", f"delete {path.parent} to run it again")
        return scores

    def timing(self, run: Run) -> dict[str, Any] | None:
        """What a finished run cost; None if that is not known."""
        path = self.of_run(run) / "timing.json"
        return read_json(path) if path.exists() else None

    def error(self, run: Run) -> dict[str, Any] | None:
        """Why a run failed; None if it did not."""
        path = self.of_run(run) / "error.json"
        return read_json(path) if path.exists() else None

    def finish(
        self, run: Run, scores: Mapping[str, Any], files: Mapping[str, bytes], timing: Mapping[str, Any]
    ) -> None:
        """Write what a run came to; it counts as finished with the last file, `scores.json`."""
        folder = self.of_run(run)
        for name, content in files.items():
            with atomic_file(folder / name) as temporary:
                temporary.write_bytes(content)
        write_json(folder / "timing.json", timing)
        write_json(folder / "scores.json", {"schema_version": SCHEMA_VERSION, "digest": run.digest, **scores})
        self.forget_failure(run)

    def fail(self, run: Run, error: str, traceback: str, *, attempts: int) -> None:
        """Write why a run failed."""
        self.forget_failure(run)
        content = {"schema_version": SCHEMA_VERSION, "digest": run.digest, "error": error, "attempts": attempts}
        write_json(self.of_run(run) / "error.json", content | ({"traceback": traceback} if traceback else {}))

    def forget_failure(self, run: Run) -> None:
        """Remove a run's error and what its fit left behind between two steps."""
        folder = self.of_run(run)
        for left in (folder / "error.json", folder / "fit.state", *folder.glob(".*")):
            left.unlink(missing_ok=True)


@contextmanager
def open_folder(path: Path, plan: Plan, *, resume: bool) -> Iterator[SweepFolder]:
    """Take hold of a sweep's folder, and add a plan to what it holds.

    Raises:
        OutputExistsError: it holds a sweep and `resume` is false, or one that the plan contradicts, or something else.
        DaenrError: another sweep is running in it, or it cannot be written.
    """
    with claimed(path, PLAN, "sweep", resume=resume) as holds_one:
        if holds_one:
            plan = read_plan(path).extended(plan, path)
        write_json(path / PLAN, encode(plan))
        yield SweepFolder(path, plan)


@contextmanager
def claimed(path: Path, plan: str, user: str, *, resume: bool) -> Iterator[bool]:
    """Make a folder, or take hold of one of the same kind; tells whether it holds something to go on with.

    Args:
        path: the folder.
        plan: the file that marks a folder of this kind.
        user: what uses it, for the messages: `sweep`, `search`.
        resume: whether to go on with what it holds.

    Raises:
        OutputExistsError: it is no such folder, or holds something and `resume` is false.
        DaenrError: another process uses it, or it cannot be written.
    """
    if path.exists() and not path.is_dir():
        raise OutputExistsError(path, "is not a folder", "choose another --output")
    check_writable(path / plan)
    present = sorted(p.name for p in path.iterdir() if not p.name.startswith(".")) if path.exists() else []
    if present and plan not in present:
        problem = f"holds files that are not of a {user} ({present[0]})"
        raise OutputExistsError(path, problem, "choose another --output")
    with _locked(path, user):
        holds_one = (path / plan).exists()
        if holds_one and not resume:
            raise OutputExistsError(path, f"holds a {user}", "pass --resume to go on with it, or another --output")
        yield holds_one


@contextmanager
def _locked(path: Path, user: str) -> Iterator[None]:
    """Hold a folder's lock, which the system gives back when this process dies."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        handle = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise DaenrError(path, f"cannot be written ({error.strerror})", "choose another --output") from error
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        problem = f"is in use by another {user}"
        raise DaenrError(path, problem, "wait until it has ended, or choose another --output") from error
    finally:
        os.close(handle)


def write_json(path: Path, content: Any) -> None:
    """Write JSON, whole or not at all; the same content gives the same bytes."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read an object from a JSON file.

    Raises:
        DaenrError: it is missing or damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DaenrError(path, f"cannot be read ({error.strerror})", "give the folder of a sweep") from error
    except ValueError as error:
        raise DaenrError(path, f"is damaged ({error})", f"restore it, or delete {path.parent}") from error
    if not isinstance(content, dict):
        raise DaenrError(path, "is not an object", f"restore it, or delete {path.parent}")
    return content
