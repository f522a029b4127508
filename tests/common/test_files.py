"""Files and folders appear whole or not at all, and what a killed process left behind goes with the next run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from daenr_common.errors import DaenrError, OutputExistsError
from daenr_common.files import PARTIAL, atomic_directory, atomic_file, check_output_file

WRITERS = {"file": atomic_file, "folder": atomic_directory}

KILLED = """
import os, pathlib, signal, sys
from daenr_common.files import {writer}
with {writer}(pathlib.Path(sys.argv[1])) as temporary:
    (temporary / "half" if temporary.is_dir() else temporary).write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(params=sorted(WRITERS))
def writer(request: pytest.FixtureRequest) -> Callable[[Path], AbstractContextManager[Path]]:
    return WRITERS[request.param]


def partials(folder: Path) -> list[Path]:
    return sorted(folder.glob(f".*{PARTIAL}"))


def put(temporary: Path, text: str) -> None:
    (temporary / "content" if temporary.is_dir() else temporary).write_text(text)


def test_what_fails_leaves_nothing(writer, tmp_path: Path) -> None:
    def fail_halfway() -> None:
        with writer(tmp_path / "out") as temporary:
            put(temporary, "half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writer_leaves_no_output_and_the_next_one_clears_up(writer, tmp_path: Path) -> None:
    code = KILLED.format(writer=writer.__name__)
    killed = subprocess.run([sys.executable, "-c", code, tmp_path / "out"], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = partials(tmp_path)
    an_hour_ago = time.time() - 3600
    os.utime(left, (an_hour_ago, an_hour_ago))
    with writer(tmp_path / "other"):
        pass
    assert partials(tmp_path) == [left], "another output's remains are not ours"
    with writer(tmp_path / "out") as temporary:
        assert partials(tmp_path) == [temporary]
        put(temporary, "whole")
    assert partials(tmp_path) == []


def test_what_somebody_is_still_writing_is_left_alone(writer, tmp_path: Path) -> None:
    with writer(tmp_path / "out") as first:
        put(first, "first")
        an_hour_ago = time.time() - 3600
        os.utime(first, (an_hour_ago, an_hour_ago))
        with pytest.raises(ZeroDivisionError), writer(tmp_path / "out"):
            raise ZeroDivisionError
        assert partials(tmp_path) == [first]
    assert (tmp_path / "out").exists()


def test_an_output_that_exists_is_refused_before_the_work(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    check_output_file(path, force=False)
    path.write_text("{}")
    check_output_file(path, force=True)
    with pytest.raises(OutputExistsError, match=r"report\.json: exists"):
        check_output_file(path, force=False)
    with pytest.raises(DaenrError, match="is a folder"):
        check_output_file(tmp_path, force=True)
