from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bundle_factory import make_bundle

if TYPE_CHECKING:
    from daenr_export.exporting.export import ExportReport


@pytest.fixture(scope="session")
def shared_tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle with all six graphs, for tests that only read it."""
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny.daenr")


@pytest.fixture
def tiny_bundle(shared_tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the small bundle that the test may damage."""
    return shutil.copytree(shared_tiny_bundle, tmp_path / "tiny.daenr")


@pytest.fixture(scope="session")
def zig_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the C compiler keeps what it has compiled: graphs of equal shapes differ in their weights only."""
    folder = tmp_path_factory.mktemp("zig")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"):
            patch.setenv(name, str(folder))
        yield folder


@pytest.fixture(scope="session")
def shared_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a cae-fr2 with random weights, for tests that only read it."""
    from model_factory import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("checkpoints") / "cae_fr2.pt")


@pytest.fixture
def checkpoint(shared_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint, in a folder of the test's own."""
    return Path(shutil.copy(shared_checkpoint, tmp_path))


@pytest.fixture(scope="session")
def shared_export(shared_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    """That checkpoint exported, with engines where TensorRT-RTX is installed, for tests that only read it."""
    import daenr_export
    from daenr_common.extras import is_installed

    output = tmp_path_factory.mktemp("exports") / "cae_fr2.daenr"
    return daenr_export.export(shared_checkpoint, output, trt=is_installed("tensorrt_rtx"))


@pytest.fixture
def exported(shared_export: ExportReport, tmp_path: Path) -> Path:
    """A copy of the exported bundle that the test may damage."""
    return shutil.copytree(shared_export.bundle, tmp_path / "cae_fr2.daenr")
