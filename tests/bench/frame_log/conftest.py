from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from log_factory import MS, make_anchors, make_session, write_log

from daenr_bench.cli import main
from daenr_export.loop.log.records import Rows


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, ["log", *map(str, arguments)])


@pytest.fixture
def rows() -> Rows:
    return make_session()


@pytest.fixture
def log(tmp_path: Path, rows: Rows) -> Path:
    return write_log(tmp_path / "session.daenrlog", rows, make_anchors(5, {3: 250 * MS}))
