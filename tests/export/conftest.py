from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from bundle_factory import make_bundle


@pytest.fixture(scope="session")
def shared_tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle with all six graphs, for tests that only read it."""
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny.daenr")


@pytest.fixture
def tiny_bundle(shared_tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the small bundle that the test may damage."""
    return shutil.copytree(shared_tiny_bundle, tmp_path / "tiny.daenr")
