from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

TESTS = Path(__file__).parents[2]

# Real sweeps are made with the doubles of the sweep's tests.
sys.path[:0] = [str(TESTS / "train"), str(TESTS / "train" / "sweep")]


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real sweep, of a few steps, with a second stage."""
    from small import make_small_recording
    from sweep_doubles import cells_of, sweep

    path = tmp_path_factory.mktemp("swept") / "results"
    cells = (
        *cells_of(["cae", "cnn-fr2", "vqvae-fc1"], seeds=(0, 1)),
        *cells_of(["cae-fr2"], seeds=(0, 1), neurons=("all", "significant", "insignificant")),
    )
    sweep(path, make_small_recording(), cells)
    return path


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """`daenr-bench paper`, in an empty folder."""
    from daenr_bench.cli import main

    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, ["paper", *map(str, arguments)])
