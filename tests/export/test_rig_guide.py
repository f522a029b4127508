"""The guide for rigs is true: its commands and its Python run as written, in order."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "rig.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", GUIDE, re.DOTALL)


@pytest.mark.slow
def test_the_guide_can_be_followed(shared_export, tmp_path: Path) -> None:
    shutil.copytree(shared_export.bundle, tmp_path / "demo" / "cae_fr2.daenr")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"}
    outputs = []
    for language, block in BLOCKS:
        # A minute of frames is for people; here it shows only that the command is right.
        command = {"sh": ["bash", "-euc"], "python": [sys.executable, "-W", "error", "-c"]}[language]
        text = block.replace("--seconds 60", "--seconds 2")
        result = subprocess.run(
            [*command, text], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, f"{text}\n{result.stdout}\n{result.stderr}"
        outputs.append(result.stdout)
    assert any("run.daenrlog accounts for 200 of 200 frames" in output for output in outputs)
    assert (tmp_path / "frames.csv").is_file()


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
