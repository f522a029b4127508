from __future__ import annotations

import pytest
from click.testing import CliRunner

from daenr_train.cli import main
from daenr_train.data import write_npz
from daenr_train.search.space import default_ranges
from daenr_train.spec import BASELINES, model_names, parse_model_name
from daenr_train.sweep.folder import claimed


@pytest.fixture
def run(small_recording, tmp_path, monkeypatch):
    write_npz(small_recording, tmp_path / "recording.npz")
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments):
        given = ["--model", "lnp", "--data", "recording.npz", "--trials", "2", "--output", "s", "--threads", "1"]
        return CliRunner().invoke(main, ["search", *given, "--max-steps", "4", "--batch-size", "32", *arguments])

    return invoke


def assert_one_line(result, message):
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1, result.stderr
    assert message in result.stderr


def test_the_best_are_shown(run):
    result = run()
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    heading, _, first, *_ = result.stdout.splitlines()
    assert heading.split() == ["trial", "responses", "(validation)", "readout_sparsity", "relative_smoothness"]
    assert float(first.split()[1]) > 0
    assert result.stdout.splitlines()[-1] == "2 finished; wrote s/best.toml"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "cae-fr9"], "did you mean cae-fr"),
        (
            ["--model", "mean"],
            "model 'mean': has no setting left that is searched unless it is named; add e.g. --search",
        ),
        (["--model", "cae"], "model 'cae': has no setting left"),
        (["--data", "nowhere.npz"], "nowhere.npz: does not exist"),
        (["--objective", "images"], "--objective images: is nothing that lnp can do; use responses"),
        (["--search", "bta=1:2"], "--search 'bta': is not a setting that can be searched; use one of alpha, beta"),
        (["--search", "seed=1:2"], "--search 'seed': is not a setting"),
        (["--search", "beta"], "--search beta=: has no bounds, expected two numbers ≥ 0, the lower first"),
        (["--search", "beta=2:1"], "--search beta=2:1: has no bounds"),
        (["--search", "beta=nan:1"], "has no bounds"),
        (["--search", "rounds=1.5:3"], "expected two whole numbers"),
        (["--search", "beta=1:2", "--search", "beta=1:3"], "--search beta: is given twice"),
        (["--search", "learning_rate=0:1"], "learning_rate is 0.0, expected a number > 0"),
        (["--search", "beta=1:2", "--set", "beta=1"], "setting 'beta': is both given and searched"),
        (["--trials", "0"], "--trials"),
        (["--output", "recording.npz"], "recording.npz: is not a folder"),
        (["--output", "."], "holds files that are not of a search (recording.npz)"),
    ],
)
def test_wrong_arguments(run, tmp_path, arguments, message):
    assert_one_line(run(*arguments), message)
    assert not (tmp_path / "s").exists()


def test_a_folder_that_holds_a_search_wants_resume_and_the_same_search(run, tmp_path):
    assert run().exit_code == 0
    before = (tmp_path / "s" / "search.json").read_bytes()
    assert_one_line(run(), "s: holds a search; pass --resume")
    assert_one_line(run("--resume", "--seed", "1", "--search", "beta=1:2"), "is a search with other ranges, settings;")
    assert (tmp_path / "s" / "search.json").read_bytes() == before
    assert run("--resume").exit_code == 0
    with claimed(tmp_path / "s", "search.json", "search", resume=True):
        assert_one_line(run("--resume"), "s: is in use by another search; wait until it has ended")


@pytest.mark.parametrize("content", [b"", b"not a database at all, though it is long enough to be one" * 40])
def test_a_damaged_store_is_named(run, tmp_path, content):
    assert run().exit_code == 0
    (tmp_path / "s" / "search.db").write_bytes(content)
    result = run("--resume")
    if content:
        assert_one_line(result, "s/search.db: cannot be used (file is not a database); make room or restore it")
    else:
        assert result.exit_code == 0  # an empty store is a search without trials


@pytest.mark.parametrize("name", [*model_names(), *BASELINES])
def test_what_is_searched_are_settings_of_the_model(name):
    spec = parse_model_name(name, n_neurons=2)
    ranges = default_ranges(spec)
    assert ({"alpha", "beta"} <= set(ranges)) == (spec.autoencoder is not None and spec.readout is not None)
    assert ("mask_smoothness" in ranges) == (spec.readout == "fr" and not spec.baseline)
    assert ("kl" in ranges) == (spec.autoencoder == "vae")
    assert bool(ranges) == (name not in ("cae", "mean"))
