from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

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
