from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small cae-fr2 with random weights."""
    pytest.importorskip("torch")
    from model_factory import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("checkpoints") / "cae_fr2.pt")


@pytest.fixture(scope="session")
def torch_bundle(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """A bundle of it, for peers that run the checkpoint; tests only read it."""
    from torch_bundle import make_bundle_for_torch

    return make_bundle_for_torch(tmp_path_factory.mktemp("bundles") / "model.daenr", checkpoint)
