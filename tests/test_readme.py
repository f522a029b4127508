"""The front page is true: its commands run as written, its models exist, its files are there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from daenr_train.spec import model_names

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)


def block(language, marker):
    (found,) = [text for kind, text in BLOCKS if kind == language and marker in text]
    return found


@pytest.mark.slow
def test_the_commands_and_the_python_of_the_readme_run_as_written(tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"}

    def run(command):
        result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        return result.stdout

    output = run(["bash", "-euc", block("sh", "daenr-train simulate")])
    assert (tmp_path / "cae_fr2.daenr" / "manifest.json").is_file()
    assert "cae_fr2.daenr: pass on onnxruntime, openvino" in output
    script = block("python", "daenr_export.load")
    printed = run([sys.executable, "-W", "error", "-c", f"{script}\nprint(rates.shape, reconstruction.shape)"])
    assert printed.strip() == "(1, 102) (1, 1, 32, 32)"
    assert "200 frames in" in run([sys.executable, "-W", "error", "-c", block("python", "ClosedLoop(")])


def test_nothing_is_left_to_fill_in():
    assert not re.search(r"^[A-Z]{4,}$", README, re.MULTILINE)


def test_make_has_the_targets_of_the_readme():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", "\n".join(text for _, text in BLOCKS), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_table_of_models_is_the_paper_s():
    named = set()
    for cell in re.findall(r"`((?:cae|vae|vqvae|cnn)[^`]*)`(?: … `([^`]*)`)?", README.split("## The models")[1]):
        first, last = cell
        named |= {f"{first[:-1]}{layer}" for layer in (1, 2, 3, 4)} if last else {first}
    assert named == set(model_names())


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
