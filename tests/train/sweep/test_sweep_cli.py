from __future__ import annotations

import csv

import pytest
from click.testing import CliRunner
from sweep_doubles import InlineEngine

from daenr_train.cli import main
from daenr_train.data import open_recording, write_npz
from daenr_train.sweep import command
from daenr_train.sweep.results import read_results

GRID = """
models = ["cae", "cnn-fr2"]
regions = ["region1"]
seeds = 2
[settings]
max_steps = 3
batch_size = 32
[model_settings.cnn-fr2]
beta = 2.0
"""


@pytest.fixture
def run(small_recording, tmp_path, monkeypatch):
    """The command, in a folder with a recording and a grid; its runs are executed without processes."""
    write_npz(small_recording, tmp_path / "recording.npz")
    (tmp_path / "grid.toml").write_text(GRID)
    monkeypatch.chdir(tmp_path)
    recording = open_recording(tmp_path / "recording.npz")
    monkeypatch.setattr(command, "LocalEngine", lambda recordings, processes, threads: InlineEngine(recording))

    def invoke(*arguments):
        given = dict(zip(arguments[::2], arguments[1::2], strict=True))
        defaults = {"--grid": "grid.toml", "--data": "recording.npz", "--output": "r"}
        flat = [part for pair in (defaults | given).items() if pair[1] for part in pair]
        return CliRunner().invoke(main, ["sweep", *flat])

    return invoke


def test_a_grid_file_is_swept(run, tmp_path):
    result = run()
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "4 finished; wrote r/results.csv"
    assert "the 805 runs of the grid paper take" in result.stdout
    assert result.stderr == ""
    with (tmp_path / "r" / "results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["model"], row["seed"]) for row in rows] == [
        ("cae", "0"),
        ("cae", "1"),
        ("cnn-fr2", "0"),
        ("cnn-fr2", "1"),
    ]
    training = {run.cell: run.entry["training"] for run in read_results(tmp_path / "r").runs}
    assert {(cell.model, settings["beta"], settings["threads"]) for cell, settings in training.items()} == {
        ("cae", 1.0, 1),
        ("cnn-fr2", 2.0, 1),
    }
    assert {settings["seed"] - cell.seed for cell, settings in training.items()} == {0}
    with (tmp_path / "r" / "timing.csv").open() as stream:
        assert all(float(row["seconds"]) > 0 for row in csv.DictReader(stream))


def test_the_command_line_comes_before_the_grid(run, tmp_path):
    assert run("--seeds", "1", "--set", "beta=3", "--max-steps", "2").exit_code == 0
    training = [run.entry["training"] for run in read_results(tmp_path / "r").runs]
    assert [(t["beta"], t["max_steps"], t["batch_size"]) for t in training] == [(3.0, 2, 32)] * 2


def test_a_failed_run_is_told(run):
    result = run("--set", "learning_rate=1e30")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "4 failed; wrote r/results.csv"
    assert result.stderr.startswith("failed: cae on region1, seed 0: the fit: has diverged")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--grid", "papre"], "grid 'papre': does not exist; use paper, table2"),
        (["--grid", "paper"], "holds region1, not 2"),
        (["--region", "region9"], "holds region1, not region9"),
        (["--data", "nowhere.npz"], "nowhere.npz: does not exist"),
        (["--data", None, "--region", "mouse7"], "region 'mouse7': is none of the simulated ones; use 1, 2 or 3"),
        (["--seeds", "0"], "--seeds"),
        (["--set", "bta=1"], "setting 'bta': does not exist"),
        (["--max-steps", "0"], "--max-steps"),
        (["--address", "10.0.0.1:6379"], "--address: is for Ray; add --engine ray"),
        (["--cpus-per-run", "0.5"], "--cpus-per-run: is for Ray"),
        (["--processes", "100000"], "--processes: is 100000, and this machine has"),
        (["--output", "recording.npz"], "recording.npz: is not a folder"),
        (["--output", "."], "holds files that are not of a sweep"),
        (["--output", "/dev/null/r"], "cannot be written"),
    ],
)
def test_wrong_arguments(run, tmp_path, arguments, message):
    if arguments[0] == "--data" and arguments[1] is None:
        arguments = [*arguments, "--grid", "smoke"]
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1, result.stderr
    assert message in result.stderr
    assert not (tmp_path / "r").exists()


def test_a_region_twice_is_named(run, tmp_path):
    (tmp_path / "grid.toml").write_text(GRID.replace('["region1"]', '["1", "region1"]'))
    result = run()
    assert result.exit_code == 2
    assert "regions: 1 and region1 are the same region; name it once" in result.stderr


def test_baselines_are_swept_with_their_own_recipes(run, tmp_path):
    (tmp_path / "grid.toml").write_text('models = ["lnp", "mean", "cnn-fr2"]\nregions = [1]\nseeds = 1\n')
    assert run("--max-steps", "2").exit_code == 0
    runs = {entry.cell.model: entry.entry for entry in read_results(tmp_path / "r").runs}
    assert {model: entry["training"]["batch_size"] for model, entry in runs.items()} == {
        "lnp": 256,
        "mean": 64,
        "cnn-fr2": 64,
    }
    assert {model: entry["fit"]["steps"] for model, entry in runs.items()} == {"lnp": 2, "mean": 0, "cnn-fr2": 2}
    assert runs["mean"]["n_insignificant"] == 12
