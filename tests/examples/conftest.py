from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

# Bundles and models are made by the factories of the export's tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "export"))


def _export(folder: Path, model: str, input: str) -> Path:
    from model_factory import write_checkpoint

    import daenr_export

    checkpoint = write_checkpoint(folder / "model.pt", model, n_images=6)
    return daenr_export.export(checkpoint, folder / "model.daenr", input=input).bundle


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Two exported bundles, for tests that only read them: all graphs, both kinds of input, codes."""
    return SimpleNamespace(
        cae_fr2=_export(tmp_path_factory.mktemp("float"), "cae-fr2", "float32"),
        vqvae_fm3=_export(tmp_path_factory.mktemp("pixels"), "vqvae-fm3", "uint8"),
    )
