"""The two commands of the guide, with the grid `smoke` at fewer steps: every table and figure shows something."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = (Path(__file__).parents[3] / "docs" / "paper.md").read_text("utf-8")


@pytest.mark.slow
def test_the_guide_s_commands_give_every_table_and_figure(tmp_path: Path) -> None:
    sweep, paper = (re.search(rf"^{tool} [^#\n]*", GUIDE, re.MULTILINE) for tool in ("daenr-train", "daenr-bench"))
    assert sweep
    assert paper
    # 1: a run failed, as a fit to a class of neurons does if that is empty after so few steps
    commands = (f"{sweep[0].strip()} --seeds 1 --max-steps 4 || [ $? -eq 1 ]", paper[0].strip())
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"}
    subprocess.run(["bash", "-euc", "\n".join(commands)], cwd=tmp_path, env=environment, check=True)
    report = tmp_path / "report"
    for name in ("table2", "table3", "table4", "table5", "table6", "figure3", "figure4"):
        with (report / f"{name}.csv").open(encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        assert any(row["mean"] or "failed" in row["lacks"] for row in rows), name
        assert {row["lacks"] for row in rows} <= {"", "not swept", "1 failed"}
    assert (report / "figure2.png").is_file()
    assert "Nothing of this is in the sweep" not in (report / "report.md").read_text("utf-8")
