from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bench_factory import FakeClock

    from daenr_bench.cells import Cell
    from daenr_bench.scenarios.tracks import Outcome, Scenario
    from daenr_export.runtime.protocol import Backend

# Bundles and models are made by the factories of the export's tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "export"))


@pytest.fixture(scope="session")
def shared_timed_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle of three graphs with golden answers, for tests that only read it."""
    from bench_factory import make_timed_bundle

    return make_timed_bundle(tmp_path_factory.mktemp("bundles") / "tiny.daenr")


@pytest.fixture
def timed_bundle(shared_timed_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the small bundle that the test may damage."""
    return shutil.copytree(shared_timed_bundle, tmp_path / "tiny.daenr")


@pytest.fixture
def opened(shared_timed_bundle: Path) -> Iterator[Callable[..., list[Cell]]]:
    """Open the graph `responses` of the small bundle on backends."""
    from daenr_bench.cells import open_cells
    from daenr_export.bundle import Bundle

    with ExitStack() as stack:

        def opened(*backends: Backend) -> list[Cell]:
            names = [backend.name for backend in backends]
            return open_cells(Bundle.open(shared_timed_bundle), backends, ["responses"], stack, must_run=names)[0]

        yield opened


@pytest.fixture
def measure(opened: Callable[..., list[Cell]], shared_timed_bundle: Path) -> Callable[..., Outcome]:
    """Run one scenario on backends and a clock of the test's."""
    from bench_factory import on_bench

    def measure(plan: Scenario, clock: FakeClock, *backends: Backend, seed: int = 0) -> Outcome:
        return plan.measure(opened(*backends), on_bench(shared_timed_bundle, clock, seed=seed))

    return measure
