"""The example that a rig engineer copies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import bundle_factory as factory

from daenr_export.loop.log import read_log

EXAMPLE = Path(__file__).parents[3] / "examples" / "closed_loop.py"


def run_example(*arguments):
    command = [sys.executable, str(EXAMPLE), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_example_runs_and_its_log_accounts_for_every_frame(shared_tiny_bundle, tmp_path) -> None:
    log = tmp_path / "run.daenrlog"
    done = run_example(shared_tiny_bundle, "--seconds", 2, "--rate", 100, "--log", log)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "200 frames in " in done.stdout
    assert f"{log} accounts for 200 of 200 frames" in done.stdout
    logged = read_log(log)
    assert logged.closed_cleanly
    assert sorted(logged.rows["frame_id"]) == list(range(200))


def test_the_example_gives_a_bundle_of_pixels_pixels(tmp_path) -> None:
    bundle = factory.make_bundle(tmp_path / "pixels.daenr", pixels="uint8")
    done = run_example(bundle, "--seconds", 1, "--log", tmp_path / "run.daenrlog")
    assert done.returncode == 0, done.stderr
    assert " 0 fault" in done.stdout
    assert "100 frames in " in done.stdout


def test_the_example_says_in_one_line_what_it_cannot_use(tmp_path) -> None:
    done = run_example(tmp_path / "missing.daenr")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "missing.daenr" in done.stderr
