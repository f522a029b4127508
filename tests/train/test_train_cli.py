import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from daenr_train.checkpoint import load_checkpoint
from daenr_train.cli import main
from daenr_train.data import write_npz
from daenr_train.metrics import DEFINITIONS, score_ceilings
from daenr_train.spec import BASELINES, model_names

QUICK = ["--max-steps", "6", "--batch-size", "32", "--threads", "1"]


@pytest.fixture
def data(small_recording, tmp_path):
    path = tmp_path / "recording.npz"
    write_npz(small_recording, path)
    return path


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments):
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return invoke


def assert_one_line(result, *fragments):
    assert result.exit_code == 2, result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    for fragment in fragments:
        assert fragment in lines[0]


def test_models_are_listed(run):
    result = run("models")
    assert result.exit_code == 0
    paper, _, baselines = result.stdout.partition("\n\n")
    assert [line.split()[0] for line in paper.splitlines()[2:]] == sorted(
        model_names(), key=lambda name: (["cae", "vae", "vqvae", "cnn"].index(name.split("-")[0]), 0)
    )
    assert [line.split()[0] for line in baselines.splitlines()[2:]] == list(BASELINES)


def test_fit_and_evaluate(run, data, tmp_path):
    result = run("fit", "--model", "cae_fr2", "--data", data, "--output", "out/model.pt", *QUICK, "--beta", "2")
    assert result.exit_code == 0, result.output
    assert "correlation_to_average" in result.stdout
    assert "ssim" in result.stdout
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.pt"]  # no state, nothing half-written
    checkpoint = load_checkpoint(tmp_path / "out/model.pt")
    assert checkpoint.training["beta"] == 2.0
    assert checkpoint.neuron_ids[0] == "n0"

    result = run("evaluate", "--checkpoint", "out/model.pt", "--data", data, "--json", "scores.json")
    assert result.exit_code == 0, result.output
    scores = json.loads(Path("scores.json").read_text())
    assert scores["images"] == checkpoint.metrics["images"]
    assert len(scores["per_neuron"]["correlation_to_average"]) == 12
    assert scores["neuron_ids"] == list(checkpoint.neuron_ids)
    assert set(scores["definitions"]) == set(DEFINITIONS) == set(scores["responses"])


def test_an_interrupted_fit_is_resumed_from_the_command_line(data, tmp_path):
    command = [sys.executable, "-m", "daenr_train.cli", "fit", "--model", "cae-fr2", "--data", data]
    command += ["--output", tmp_path / "model.pt", "--batch-size", "32", "--threads", "1", "--set", "validate_every=1"]
    log = tmp_path / "log"
    process = subprocess.Popen(
        [*map(str, command), "--tensorboard", str(log)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    while not (tmp_path / "model.pt.state").exists():  # written after the first step
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "continue with --resume" in stderr.splitlines()[-1]
    steps = int(re.search(r"after step (\d+)", stderr)[1])
    assert sorted(path.name for path in tmp_path.glob("model.pt*")) == ["model.pt.state"]
    resumed = subprocess.run(
        [*map(str, command), "--resume", "--max-steps", str(steps + 1)], capture_output=True, text=True
    )
    assert resumed.returncode == 0, resumed.stderr
    assert sorted(path.name for path in tmp_path.glob("model.pt*")) == ["model.pt"]
    assert list(log.glob("events*"))


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["--model", "cae-fr9"], ["cae-fr9", "did you mean cae-fr"]),
        (["--data", "nowhere"], ["nowhere"]),
        (["--beta", "-1"], ["beta is -1.0", "≥ 0"]),
        (["--threads", "100000"], ["threads is 100000", "processors"]),
        (["--alpha", "0", "--beta", "0"], ["alpha and beta are both 0"]),
        (["--set", "foo"], ["'foo': has no value", "NAME=VALUE"]),
        (["--set", "bta=1"], ["'bta'", "use one of"]),
        (["--set", "beta=much"], ["'much'", "NAME=VALUE"]),
        (["--max-steps", "0"], ["--max-steps", "--help"]),
        (["--resume"], ["model.pt.state", "fit without --resume"]),
    ],
)
def test_wrong_arguments_of_fit(run, data, tmp_path, arguments, fragments):
    good = ["--model", "cae-fr2", "--data", data, "--output", "model.pt", *QUICK]
    assert_one_line(run("fit", *good, *arguments), *fragments)
    assert not list(tmp_path.glob("model.pt*"))


def test_an_interrupted_fit_is_not_forgotten(run, data, tmp_path):
    state = tmp_path / "model.pt.state"
    state.write_text("hours of work")
    command = ["fit", "--model", "cnn-fr1", "--data", data, "--output", "model.pt", *QUICK]
    assert_one_line(run(*command), "model.pt.state: holds an interrupted fit", "--resume")
    assert state.read_text() == "hours of work"
    assert run(*command, "--force").exit_code == 0
    assert not state.exists()


def test_a_fit_that_diverges_writes_nothing(run, data, tmp_path):
    command = ["fit", "--model", "cae", "--data", data, "--output", "model.pt", *QUICK, "--set", "learning_rate=1e30"]
    assert_one_line(run(*command, "--set", "validate_every=2"), "has diverged", "lower the learning rate")
    assert not (tmp_path / "model.pt").exists()


def test_an_output_is_looked_at_before_the_work(run, data, tmp_path):
    command = ["fit", "--model", "cae", "--data", data, *QUICK, "--force", "--output"]
    assert_one_line(run(*command, tmp_path), "is a folder")
    assert not list(tmp_path.parent.glob(f"{tmp_path.name}*.state"))
    (tmp_path / "file").write_text("")
    assert_one_line(run(*command, "file/model.pt"), "file/model.pt: cannot be written")


@pytest.mark.parametrize("limit_kb", [2000])
def test_a_full_disk_is_one_line(data, tmp_path, limit_kb):
    """A limit on the size of files stands for the disk: a checkpoint of a cae-fr2 has 7 MB."""
    fit = f"{sys.executable} -m daenr_train.cli fit --model cae-fr2 --data {data} --output {tmp_path}/out/model.pt"
    command = f"ulimit -f {limit_kb}; trap '' XFSZ; {fit} {' '.join(QUICK)}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert "model.pt" in result.stderr
    assert not list((tmp_path / "out").iterdir())


def test_a_checkpoint_does_not_tell_where_the_data_lay(run, data, tmp_path):
    assert run("fit", "--model", "cnn-fr1", "--data", data, "--output", "model.pt", *QUICK).exit_code == 0
    assert load_checkpoint(tmp_path / "model.pt").recording.source == data.name
    assert str(tmp_path).encode() not in (tmp_path / "model.pt").read_bytes()


def test_an_output_that_exists_is_kept(run, data, tmp_path):
    (tmp_path / "model.pt").write_text("precious")
    result = run("fit", "--model", "cae", "--data", data, "--output", "model.pt", *QUICK)
    assert_one_line(result, "model.pt: exists already", "--force")
    assert (tmp_path / "model.pt").read_text() == "precious"


def test_scores_that_exist_are_kept(run, data, tmp_path):
    (tmp_path / "scores.json").write_text("precious")
    result = run("evaluate", "--checkpoint", "any.pt", "--data", data, "--json", "scores.json")
    assert_one_line(result, "scores.json: exists already", "--force")
    assert (tmp_path / "scores.json").read_text() == "precious"


def test_a_recording_of_other_neurons_is_refused(run, data, tmp_path, small_recording):
    run("fit", "--model", "cnn-fr1", "--data", data, "--output", "model.pt", *QUICK)
    with np.load(data) as content:
        np.savez(tmp_path / "other.npz", **{**content, "neuron_ids": np.array([f"other{i}" for i in range(12)])})
    assert_one_line(run("evaluate", "--checkpoint", "model.pt", "--data", "other.npz"), "neurons", "fitted to")


def test_a_missing_checkpoint_is_named(run, data):
    assert_one_line(run("evaluate", "--checkpoint", "gone.pt", "--data", data), "gone.pt: does not exist")


def test_simulate_prints_the_calibration(run, tmp_path):
    result = run("simulate", "--out", "data", "--region", "2", "--seed", "0")
    assert result.exit_code == 0, result.output
    assert "CCmax" in result.stdout
    assert " off" not in result.stdout
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["region2.npz"]
    assert_one_line(run("simulate", "--out", "data", "--region", "2"), "region2.npz: exists already")


@pytest.mark.parametrize(
    "command", [[], ["models"], ["simulate"], ["fit"], ["evaluate"], ["ceilings"], ["search"], ["stimuli"]]
)
def test_help_needs_neither_torch_nor_a_manual(command):
    program = (
        "import sys; from daenr_train.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    result = subprocess.run([sys.executable, "-c", program, *command, "--help"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "Usage: daenr-train" in result.stdout


def test_ceilings_are_shown_with_what_the_true_rates_score(run, tmp_path, small_recording):
    with_rates = replace(small_recording, true_test_rates=small_recording.test_responses.mean(0) + 0.1)
    write_npz(with_rates, tmp_path / "simulated.npz")
    result = run("ceilings", "--data", "simulated.npz")
    assert result.exit_code == 0, result.output
    recorded, _, exact = result.stdout.partition("\n\n")
    assert recorded.splitlines()[0].split() == ["ceiling", "mean", "median", "over"]
    rows = {line.split()[0]: line.split()[1] for line in recorded.splitlines()[2:]}
    expected = score_ceilings(small_recording.test_responses)
    assert rows == {name: f"{scores.mean:.4f}" for name, scores in expected.items()}
    assert "correlation_to_average" in exact
    write_npz(small_recording, tmp_path / "recorded.npz")
    assert run("ceilings", "--data", "recorded.npz").stdout.rstrip() == recorded
    assert_one_line(run("ceilings", "--data", "nowhere"), "nowhere: does not exist")
