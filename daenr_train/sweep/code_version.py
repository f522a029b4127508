"""A digest of the code that decides what a fit comes to, so that runs of different code are never mixed."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

DECIDING = (
    "checkpoint.py",
    "data/content.py",
    "data/recording.py",
    "data/split.py",
    "evaluate.py",
    "fit/config.py",
    "fit/determinism.py",
    "fit/fitting.py",
    "fit/losses.py",
    "fit/receptive_fields.py",
    "fit/state.py",
    "fit/trainer.py",
    "metrics/*.py",
    "models/*.py",
    "spec.py",
    "sweep/job.py",
    "sweep/second_stage.py",
)
"""Sources below daenr_train that a score depends on, given the content of the recording."""

_PACKAGE = Path(__file__).parent.parent


@cache
def code_version(package: Path = _PACKAGE) -> str:
    """SHA-256 over the deciding sources, as 64 hexadecimal digits; neither the git state nor line endings matter."""
    digest = hashlib.sha256()
    for path in deciding_files(package):
        source = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.relative_to(package).as_posix()} {len(source)}\n".encode())
        digest.update(source)
    return digest.hexdigest()


def deciding_files(package: Path = _PACKAGE) -> list[Path]:
    """The files of `DECIDING`, sorted."""
    return sorted(path for pattern in DECIDING for path in package.glob(pattern))
