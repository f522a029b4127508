from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from daenr_common.errors import Interrupted
from daenr_train import metrics
from daenr_train.data import open_recording, split, write_npz
from daenr_train.evaluate import predict
from daenr_train.fit import TrainingConfig, fit
from daenr_train.search import study as study_module
from daenr_train.search.command import SearchRequest, run_search
from daenr_train.search.study import STARTING_TRIALS, without_test_responses
from daenr_train.spec import parse_model_name
from daenr_train.sweep.folder import read_json
from daenr_train.sweep.grid_file import read_grid

QUICK = {"max_steps": 12, "batch_size": 32, "validate_every": 2, "threads": 1}


@pytest.fixture
def data(small_recording, tmp_path):
    return write_npz(small_recording, tmp_path / "region1.npz")


def searched(data, output, n_trials=3, model="lnp", given=QUICK, **options):
    return run_search(SearchRequest(model, data, None, n_trials, output, **options), given)


def told(folder):
    """Of trials.csv, all that does not depend on the machine's mood."""
    with (folder / "trials.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_the_best_settings_are_found_and_can_be_swept(data, tmp_path):
    result = searched(data, tmp_path / "s", 4)
    values = [trial.value for trial in result.trials]
    assert result.best.value == min(values)
    assert len(set(values)) == 4
    grid = read_grid(tmp_path / "s" / "best.toml")
    assert grid.blocks[0].models == ("lnp",)
    assert grid.regions == ("region1",)
    assert {name: grid.settings[name] for name in result.best.settings} == result.best.settings
    assert grid.settings["max_steps"] == 12


def test_a_trial_is_worth_the_poisson_loss_of_the_validation_images(small_recording, data, tmp_path):
    """Computed anew, from a fit with the settings that were found."""
    best = searched(data, tmp_path / "s", 2).best
    grid = read_grid(tmp_path / "s" / "best.toml")
    checkpoint = fit(small_recording, parse_model_name("lnp", n_neurons=12), TrainingConfig(**grid.settings))
    held_out = split(small_recording, 0.2, 0).validation_indices
    predicted, _ = predict(checkpoint, small_recording.images[held_out])
    assert metrics.poisson_loss(predicted, small_recording.responses[held_out]) == pytest.approx(best.value, rel=1e-5)


def test_images_are_judged_by_their_squared_error(data, tmp_path):
    given = QUICK | {"max_steps": 2}
    result = searched(data, tmp_path / "s", 1, "cae-fr1", given, objective="images")
    assert result.objective == "images"
    assert set(result.searched) == {"alpha", "beta", "readout_sparsity", "mask_smoothness", "filter_smoothness"}
    assert 10 < result.best.value < 1024 * 4  # ‖x − x̂‖² of images in [-1, 1]


def test_the_test_responses_are_not_read(small_recording, tmp_path):
    other = replace(small_recording, test_responses=small_recording.test_responses[:2, :, ::-1] + 5)
    folders = []
    for number, recording in enumerate((small_recording, other)):
        path = write_npz(recording, tmp_path / f"{number}" / "region1.npz")
        folders.append(tmp_path / f"s{number}")
        searched(path, folders[-1])
    assert told(folders[0]) == told(folders[1])
    assert read_json(folders[0] / "search.json") == read_json(folders[1] / "search.json")
    hidden = without_test_responses(small_recording)
    assert not hidden.test_responses.any()
    assert hidden.true_test_rates is None


def test_hopeless_trials_are_pruned(data, tmp_path):
    given = QUICK | {"max_steps": 30}
    result = searched(data, tmp_path / "s", STARTING_TRIALS + 8, given=given, ranges=("learning_rate=0.00001:0.1",))
    pruned = [trial for trial in result.trials if trial.outcome == "pruned"]
    assert pruned
    assert all(trial.number >= STARTING_TRIALS and trial.steps < 30 for trial in pruned)
    assert result.best.value < np.median([trial.value for trial in result.trials])


def test_a_trial_that_diverges_does_not_end_the_search(data, tmp_path):
    result = searched(data, tmp_path / "s", 2, ranges=("learning_rate=1e28:1e30",))
    assert [(trial.outcome, trial.value) for trial in result.trials] == [("diverged", None)] * 2
    assert result.best is None
    assert not (tmp_path / "s" / "best.toml").exists()


def test_whole_numbers_are_drawn_as_such(data, tmp_path):
    given = {name: value for name, value in QUICK.items() if name != "batch_size"}
    result = searched(data, tmp_path / "s", given=given, ranges=("batch_size=8:64",))
    assert all(isinstance(trial.settings["batch_size"], int) for trial in result.trials)


@pytest.mark.parametrize("at", [(0, 5), (2, 1), (2, 11)])
def test_an_interrupted_search_goes_on_as_if_nothing_had_been(data, tmp_path, monkeypatch, at):
    whole = searched(data, tmp_path / "whole", 4)
    trial, step = at
    calls = []

    def interrupted(recording, spec, config, state_path, on_step):
        calls.append(config)

        def stop(number, terms):
            on_step(number, terms)
            if len(calls) == trial + 1 and number == step:
                signal.raise_signal(signal.SIGINT)

        return original(recording, spec, config, state_path, stop)

    original = study_module.fit_or_go_on
    monkeypatch.setattr(study_module, "fit_or_go_on", interrupted)
    with pytest.raises(Interrupted, match=f"after step {step}; continue with --resume"):
        searched(data, tmp_path / "s", 4)
    assert len(told(tmp_path / "s")) == trial
    resumed = searched(data, tmp_path / "s", 4, resume=True)
    assert told(tmp_path / "s") == told(tmp_path / "whole")
    assert (tmp_path / "s" / "best.toml").read_bytes() == (tmp_path / "whole" / "best.toml").read_bytes()
    assert resumed.best.value == whole.best.value
    assert not (tmp_path / "s" / "fit.state").exists()


@pytest.mark.slow
def test_a_killed_search_goes_on_as_if_nothing_had_been(data, tmp_path):
    command = [
        sys.executable,
        "-m",
        "daenr_train.cli",
        "search",
        "--model",
        "lnp",
        "--data",
        str(data),
        "--trials",
        "4",
    ]
    command += ["--output", str(tmp_path / "s"), "--max-steps", "12", "--batch-size", "32", "--threads", "1"]
    command += ["--set", "validate_every=2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "s" / "fit.state").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    searched(data, tmp_path / "s", 4, resume=True)
    searched(data, tmp_path / "whole", 4)
    assert told(tmp_path / "s") == told(tmp_path / "whole")


def test_trials_are_added_to_a_search(data, tmp_path):
    searched(data, tmp_path / "s", 2)
    searched(data, tmp_path / "s", 4, resume=True)
    searched(data, tmp_path / "whole", 4)
    assert told(tmp_path / "s") == told(tmp_path / "whole")
    again = searched(data, tmp_path / "s", 3, resume=True)
    assert len(again.trials) == 4  # nothing is taken away


def test_another_seed_tries_other_settings(data, tmp_path):
    first, other = searched(data, tmp_path / "0", 1), searched(data, tmp_path / "1", 1, given=QUICK | {"seed": 1})
    assert first.trials[0].settings != other.trials[0].settings
    assert open_recording(data).n_neurons == 12
