from __future__ import annotations

import json
import re

import pytest

from daenr_common.errors import SpecError
from daenr_train.sweep.command import named_grid
from daenr_train.sweep.grid import GRIDS, Block
from daenr_train.sweep.grid_file import read_grid

WHOLE = """
models = ["cae", "cae_fr2"]
regions = [3, "mouse7"]
seeds = [4, 7]
neurons = ["all", "significant"]
[settings]
max_steps = 500
beta = 2
[model_settings.cae-fr2]
alpha = 0.5
"""


def test_a_whole_file(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(WHOLE)
    grid = named_grid(str(path))
    assert grid.blocks == (Block(("cae", "cae-fr2"), ("3", "mouse7"), ("all", "significant")),)
    assert grid.seeds == (4, 7)
    assert grid.settings == {"max_steps": 500, "beta": 2.0}
    assert grid.model_settings == {"cae-fr2": {"alpha": 0.5}}


def test_json_and_what_may_be_left_out(tmp_path):
    path = tmp_path / "grid.json"
    path.write_text(json.dumps({"models": ["cae"], "regions": ["1"], "seeds": 3}))
    assert read_grid(path).seeds == (0, 1, 2)
    path.write_text(json.dumps({"models": ["cae"], "regions": ["1"]}))
    assert read_grid(path).seeds == GRIDS["paper"].seeds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('models = ["cae-fr22"]\nregions = [1]', "model 'cae-fr22': does not exist; did you mean cae-fr2"),
        ('models = ["cae_fr2", "cae-fr2"]\nregions = [1]', "models names cae-fr2 twice; name it once"),
        ('models = ["cae"]\nregions = [1, "1"]', "regions names 1 twice"),
        ('models = ["cae"]\nregions = [1]\nseeds = [1, 1]', "seeds names 1 twice"),
        ('models = ["cae"]', "has no field 'regions'; add it, e.g. regions"),
        ("regions = [1]", "has no field 'models'; add it, e.g. models"),
        (
            'models = ["cae"]\nregions = [1]\nseed = 3',
            "has a field 'seed', which is unknown; use models, regions, seeds",
        ),
        ("models = []\nregions = [1]", "models is empty"),
        ("models = 3\nregions = [1]", "models is 3, expected a list"),
        ('models = ["cae"]\nregions = [1.5]', "regions[0] is 1.5, expected a text"),
        ('models = ["cae"]\nregions = [1]\nseeds = 0', "seeds must be a number ≥ 1"),
        ('models = ["cae"]\nregions = [1]\nseeds = [-1]', "seeds must be a number ≥ 1"),
        ('models = ["cae"]\nregions = [1]\nneurons = ["some"]', "neurons names 'some'; use all, significant"),
        ('models = ["cae"]\nregions = [1]\n[settings]\nbta = 1', "settings.bta does not exist (known: alpha, beta"),
        ('models = ["cae"]\nregions = [1]\n[settings]\nseed = 1', "settings.seed is not a setting of a grid"),
        ('models = ["cae"]\nregions = [1]\n[settings]\nmax_steps = 1.5', "settings.max_steps is 1.5, expected a whole"),
        ('models = ["cae"]\nregions = [1]\n[settings]\nbeta = -1', "beta is -1.0, expected a number ≥ 0"),
        ('models = ["cae"]\nregions = [1]\n[model_settings.vae]\nbeta = 1', "names vae, which is not among its models"),
        ("models = [", "is not valid TOML"),
    ],
)
def test_wrong_files(tmp_path, text, message):
    path = tmp_path / "grid.toml"
    path.write_text(text)
    with pytest.raises(SpecError, match=re.escape(message)):
        read_grid(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("papr", "grid 'papr': does not exist; use paper, table2"),
        ("no.toml", "no.toml: cannot be read (No such file"),
    ],
)
def test_unknown_grids(name, message):
    with pytest.raises(SpecError, match=re.escape(message)):
        named_grid(name)


@pytest.mark.parametrize("text", ["[1, 2]", '{"models": [', "\ufffe"])
def test_wrong_json(tmp_path, text):
    path = tmp_path / "grid.json"
    path.write_text(text)
    with pytest.raises(SpecError, match=r"grid\.json: is not"):
        read_grid(path)
