from __future__ import annotations

import json

import pytest
from sweep_doubles import cells_of, plan_of, sweep

from daenr_common.errors import DaenrError, OutputExistsError
from daenr_train.data import Recording
from daenr_train.sweep.folder import open_folder
from daenr_train.sweep.results import read_results

CELLS = cells_of(["cae"])


@pytest.fixture
def plan(small_recording):
    return plan_of(small_recording, CELLS)


@pytest.fixture
def results(tmp_path, small_recording):
    """A folder with a finished sweep."""
    sweep(tmp_path / "r", small_recording, CELLS)
    return tmp_path / "r"


def test_the_second_sweep_of_a_folder_is_refused(tmp_path, plan):
    with open_folder(tmp_path / "r", plan, resume=False):
        before = (tmp_path / "r" / "sweep.json").read_bytes()
        for resume in (False, True):
            with (
                pytest.raises(DaenrError, match="r: is in use by another sweep; wait until it has ended"),
                open_folder(tmp_path / "r", plan, resume=resume),
            ):
                pass
        assert (tmp_path / "r" / "sweep.json").read_bytes() == before
    with open_folder(tmp_path / "r", plan, resume=True):
        pass


def test_a_folder_with_a_sweep_wants_resume(results, plan):
    with (
        pytest.raises(OutputExistsError, match="holds a sweep; pass --resume"),
        open_folder(results, plan, resume=False),
    ):
        pass


def test_other_settings_are_named(results, small_recording):
    other = plan_of(small_recording, CELLS, max_steps=4, beta=2.0)
    with (
        pytest.raises(
            OutputExistsError, match="r: has cae on region1, seed 0 with other beta, max_steps; use the same"
        ),
        open_folder(results, other, resume=True),
    ):
        pass


def test_another_recording_is_named(results, small_recording):
    names = ("images", "test_images", "test_responses", "neuron_ids", "region")
    changed = Recording(
        **{name: getattr(small_recording, name) for name in names}, responses=small_recording.responses + 1
    )
    with (
        pytest.raises(OutputExistsError, match=r"is a sweep on another recording of region1 \([0-9a-f]{12}, not"),
        open_folder(results, plan_of(changed, CELLS), resume=True),
    ):
        pass


def test_what_is_not_a_sweep_is_left_alone(tmp_path, plan):
    (tmp_path / "thesis.tex").write_text("years of work")
    with (
        pytest.raises(OutputExistsError, match="holds files that are not of a sweep"),
        open_folder(tmp_path, plan, resume=True),
    ):
        pass
    with (
        pytest.raises(OutputExistsError, match="is not a folder"),
        open_folder(tmp_path / "thesis.tex", plan, resume=True),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_plan_of_another_version_is_refused(results, plan):
    edit(results / "sweep.json", schema_version=1)
    with (
        pytest.raises(DaenrError, match=r"sweep\.json: is not of schema version 2 \(found 1\)"),
        open_folder(results, plan, resume=True),
    ):
        pass
    edit(results / "sweep.json", schema_version=2, cells=[{"region": "region1"}])
    with pytest.raises(DaenrError, match=r"cells\[0\]\.model is missing"), open_folder(results, plan, resume=True):
        pass


@pytest.mark.parametrize(
    ("text", "message"),
    [('{"scores":', r"scores\.json: is damaged"), ('{"digest": "abc"}', r"scores\.json: belongs to another run")],
)
def test_damaged_scores_are_named(results, small_recording, text, message):
    (scores,) = results.rglob("scores.json")
    scores.write_text(text)
    with pytest.raises(DaenrError, match=message):
        sweep(results, small_recording, CELLS, resume=True)


def test_results_of_another_schema_are_refused(results):
    edit(results / "results.json", schema_version=7)
    with pytest.raises(DaenrError, match=r"results\.json: has schema version 7, this daenr reads 2; install the daenr"):
        read_results(results)
    edit(results / "results.json", kind="groceries")
    with pytest.raises(DaenrError, match="holds no results of daenr-train sweep"):
        read_results(results)
    with pytest.raises(DaenrError, match=r"runs: holds no results\.json; give the --output of"):
        read_results(results / "runs")
    with pytest.raises(DaenrError, match="nowhere: does not exist"):
        read_results(results / "nowhere")
    with pytest.raises(DaenrError, match=r"sweep\.json: is not a folder"):
        read_results(results / "sweep.json")


def test_mixed_recordings_are_refused(results):
    (run,) = json.loads((results / "results.json").read_text())["runs"]
    edit(results / "results.json", runs=[run, run | {"seed": 1, "recording": "0" * 64}])
    with pytest.raises(DaenrError, match=r"mixes recordings of region1 \(cae on region1, seed 1\)"):
        read_results(results)


@pytest.mark.parametrize("changes", [{"runs": [{}]}, {"runs": 3}, {"recordings": {"region1": {}}}])
def test_results_that_are_not_whole_are_refused(results, changes):
    edit(results / "results.json", **changes)
    with pytest.raises(DaenrError, match="run the sweep again with --resume"):
        read_results(results)


def test_damaged_files_of_a_run_are_named(results):
    (run,) = read_results(results).runs
    assert run.cost().steps == 3
    for name, read in (("examples.npz", run.examples), ("timing.json", run.cost)):
        (run.folder / name).write_bytes(b"PK\x03\x04 cut")
        with pytest.raises(DaenrError, match=rf"{name}: is damaged"):
            read()
    (run.folder / "timing.json").write_text("{}")
    with pytest.raises(DaenrError, match=r"timing\.json: is not whole"):
        run.cost()
    (run.folder / "timing.json").unlink()
    assert run.cost() is None


def test_a_metric_that_is_not_there_is_named(results):
    (run,) = read_results(results).runs
    with pytest.raises(DaenrError, match="holds no scores of correlation_to_average per neuron"):
        run.per_neuron("correlation_to_average")
