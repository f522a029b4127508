"""What the suites measure: a bundle and its checkpoint.

`DAENR_BUNDLE` names a bundle to measure (and `DAENR_CHECKPOINT` what it was exported from, for the peers). Without it a
cae-fr2 of 103 neurons is made on the fly.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest
from bench_subject import Subject, make_subject

from daenr_bench.cells import Cell, open_cells
from daenr_export.bundle import Bundle
from daenr_export.runtime.protocol import Backend


@pytest.fixture(scope="session")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    if bundle := os.environ.get("DAENR_BUNDLE"):
        checkpoint = os.environ.get("DAENR_CHECKPOINT")
        return Subject(Path(bundle), Path(checkpoint) if checkpoint else None)
    return make_subject(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def open_cell(subject: Subject):
    """Open a graph of the bundle on a backend, and see that its answers are right."""
    with ExitStack() as stack:

        def open_cell(backend: Backend, graph: str) -> Cell:
            if reason := backend.why_unavailable():
                pytest.skip(reason)
            bundle = Bundle.open(subject.bundle)
            if graph not in bundle.manifest.graphs:
                pytest.skip(f"the bundle has no graph {graph}")
            cells, skipped = open_cells(bundle, [backend], [graph], stack, must_run=())
            if skipped:
                pytest.skip(skipped[0].reason)
            (cell,) = cells
            assert not cell.problems
            return cell

        yield open_cell
