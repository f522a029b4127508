from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("ziglang", reason="ziglang is not installed")


@pytest.fixture(scope="session", autouse=True)
def compile_equal_sources_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the compiler keep what it has compiled: graphs of equal shapes differ in their weights only."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"):
            patch.setenv(name, str(tmp_path_factory.mktemp("zig")))
        yield
