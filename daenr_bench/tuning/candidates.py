"""What is tried: every backend that can run here, with each sensible number of threads."""

from __future__ import annotations

import os

from daenr_bench.result import Skip
from daenr_export.runtime import registry

MAX_THREADS = 2
"""On graphs this small a second thread seldom pays, and a third never did."""


def candidates() -> tuple[list[str], list[Skip]]:
    """Names of backends, with options, and those that cannot run here with the reason."""
    names: list[str] = []
    skipped: list[Skip] = []
    for status in registry.backends():
        if status.available:
            names += [status.name, *_with_threads(status.name)]
        else:
            skipped.append(Skip(status.name, None, status.reason))
    return names, skipped


def _with_threads(name: str) -> list[str]:
    if "threads" not in registry.options_of(name):
        return []
    return [f"{name}:threads={count}" for count in range(2, min(MAX_THREADS, os.cpu_count() or 1) + 1)]
