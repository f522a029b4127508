from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("ziglang", reason="ziglang is not installed")


@pytest.fixture(scope="session", autouse=True)
def compile_equal_sources_once(zig_cache: Path) -> None:
    """Tests of one process share what the compiler keeps."""
