from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# Engines of known latency, a bundle like a rig's, and the helpers of these tests.
sys.path[:0] = [str(ROOT / "tests" / "bench"), str(ROOT / "benchmarks"), str(Path(__file__).parent)]


@pytest.fixture
def bundles(shared_timed_bundle: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The small bundle twice, as `base.daenr` and `head.daenr`."""
    base, head = (shutil.copytree(shared_timed_bundle, tmp_path / f"{name}.daenr") for name in ("base", "head"))
    return base, head
