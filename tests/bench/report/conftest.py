from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_INSTALLED = Path(__file__).parents[2] / "doubles" / "install_chromium.sh"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def chromium_path() -> str | None:
    """Where a Chromium is: what $DAENR_CHROMIUM says, one of the system's, or what install_chromium.sh unpacked."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "daenr"
    unpacked = sorted(cache.glob("chromium-*/chromium"))
    found = [os.environ.get("DAENR_CHROMIUM"), *map(shutil.which, _NAMES), *map(str, unpacked)]
    return next((path for path in found if path and Path(path).exists()), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    path = chromium_path()
    if path is None:
        pytest.skip(f"no Chromium: apt-get install chromium, run {_INSTALLED.name}, or set DAENR_CHROMIUM")
    # The one that install_chromium.sh unpacked brings libraries and a font that a small system lacks.
    beside = Path(path).parent
    own = {"LD_LIBRARY_PATH": str(beside / "lib"), "FONTCONFIG_PATH": str(beside)} if (beside / "lib").is_dir() else {}
    # Without a setuid helper there is no sandbox; the pages are our own. The shared memory of containers is small.
    options = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=options, env=dict(os.environ) | own)
        yield browser
        browser.close()


# Bundles are made by the factory of the bench's tests.
sys.path.insert(0, str(Path(__file__).parents[1]))
