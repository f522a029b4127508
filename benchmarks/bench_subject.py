"""What the suites measure where no bundle is given: a cae-fr2 with random weights, as costly as trained ones."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

CALLS = 1000
"""Timed calls of each benchmark; enough for a p99."""

WARM_UP_CALLS = 100


class Subject(NamedTuple):
    """A bundle, and what it was exported from if that is known."""

    bundle: Path
    checkpoint: Path | None


def make_subject(folder: Path) -> Subject:
    from daenr_bench.subject import make_checkpoint
    from daenr_export import export

    path = make_checkpoint(folder)
    return Subject(export(path).bundle, path)
