from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser import INSTALLED, Opened, chromium_path

if TYPE_CHECKING:
    from bench_factory import FakeBackend, FakeClock

    from daenr_bench.cells import Cell
    from daenr_bench.scenarios.tracks import Outcome, Scenario
    from daenr_export.runtime.protocol import Backend

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


@pytest.fixture
def opened(shared_timed_bundle: Path) -> Iterator[Callable[..., list[Cell]]]:
    """Open the graph `responses` of the small bundle on backends."""
    from daenr_bench.cells import open_cells
    from daenr_export.bundle import Bundle

    with ExitStack() as stack:

        def opened(*backends: Backend) -> list[Cell]:
            names = [backend.name for backend in backends]
            return open_cells(Bundle.open(shared_timed_bundle), backends, ["responses"], stack, must_run=names)[0]

        yield opened


@pytest.fixture
def measure(opened: Callable[..., list[Cell]], shared_timed_bundle: Path) -> Callable[..., Outcome]:
    """Run one scenario on backends and a clock of the test's."""
    from bench_factory import on_bench

    def measure(plan: Scenario, clock: FakeClock, *backends: Backend, seed: int = 0) -> Outcome:
        return plan.measure(opened(*backends), on_bench(shared_timed_bundle, clock, seed=seed))

    return measure


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    path = chromium_path()
    if path is None:
        pytest.skip(f"no Chromium: apt-get install chromium, run {INSTALLED.name}, or set DAENR_CHROMIUM")
    # The one that install_chromium.sh unpacked brings libraries and a font that a small system lacks.
    beside = Path(path).parent
    own = {"LD_LIBRARY_PATH": str(beside / "lib"), "FONTCONFIG_PATH": str(beside)} if (beside / "lib").is_dir() else {}
    # Without a setuid helper there is no sandbox; the pages are our own. The shared memory of containers is small.
    options = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=options, env=dict(os.environ) | own)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    contexts = []

    def open_page(text: str, *, width: int = 1280, scheme: str = "light", scripts: bool = True) -> Opened:
        path = tmp_path / "report.html"
        path.write_text(text, encoding="utf-8")
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
        )
        contexts.append(context)
        opened = Opened(context.new_page())
        opened.page.on("console", lambda message: opened.complaints.append(message.text))
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.goto(path.as_uri())
        return opened

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, shared_timed_bundle: Path) -> Callable[..., FakeBackend]:
    """Let the only backend of `daenr-bench` be a fake."""
    from bench_factory import FakeBackend, FakeClock

    from daenr_export.runtime import registry
    from daenr_export.runtime.registry import BackendStatus

    def fake(**options: object) -> FakeBackend:
        backend = FakeBackend(shared_timed_bundle, FakeClock(), **options)  # type: ignore[arg-type]
        why = backend.why_unavailable()
        monkeypatch.setattr(registry, "backends", lambda: (BackendStatus("fake", why is None, why or ""),))
        monkeypatch.setattr(registry, "_make", {"fake": backend}.__getitem__)
        return backend

    return fake
