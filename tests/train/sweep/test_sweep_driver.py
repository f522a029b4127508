from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sweep_doubles import InlineEngine, cells_of, sweep

from daenr_common.errors import DaenrError, Interrupted
from daenr_train.checkpoint import load_checkpoint
from daenr_train.evaluate import evaluate
from daenr_train.fit import TrainingConfig, fit
from daenr_train.fit.interruption import StopRequest
from daenr_train.sweep.driver import Options
from daenr_train.sweep.grid import Cell
from daenr_train.sweep.job import Outcome, Status
from daenr_train.sweep.results import read_results
from daenr_train.sweep.table import RESPONSES

CELLS = (
    *cells_of(["cae", "cnn-fr2", "vqvae-fc1"], seeds=(0, 1)),
    *cells_of(["cae-fr2"], neurons=("all", "significant", "insignificant")),
)
TABLES = ("results.csv", "results.json")


def tables(path):
    return [(path / name).read_bytes() for name in TABLES]


@pytest.fixture(scope="session")
def finished(small_recording, tmp_path_factory):
    """A sweep that nothing disturbed."""
    path = tmp_path_factory.mktemp("finished") / "results"
    sweep(path, small_recording, CELLS, options=Options(keep_checkpoints=True))
    return path


def test_the_table_holds_what_evaluate_says(finished, small_recording):
    results = read_results(finished)
    assert [run.cell for run in results.runs] == sorted(CELLS)
    assert {run.status for run in results.runs} == {"finished"}
    lines = (finished / "results.csv").read_text().splitlines()
    columns = lines[0].split(",")
    for run, line in zip(results.runs, lines[1:], strict=True):
        if run.cell.neurons != "all":
            continue
        scores = evaluate(load_checkpoint(run.folder / "checkpoint.pt"), small_recording)
        row = dict(zip(columns, line.split(","), strict=True))
        assert row["digest"] == run.folder.name
        if scores.images:
            assert float(row["mse"]) == pytest.approx(scores.images.mse.mean())
            examples = run.examples()
            errors = ((examples["images"] - examples["reconstructions"]) ** 2).mean((1, 2, 3))
            np.testing.assert_allclose(errors, scores.images.mse[:10], rtol=1e-5)
        else:
            assert row["mse"] == ""
            assert run.examples() is None
        if scores.responses:
            assert set(RESPONSES) <= set(scores.responses)
            for metric in RESPONSES:
                assert float(row[metric]) == pytest.approx(scores.responses[metric].mean)
            np.testing.assert_allclose(
                run.per_neuron("correlation_to_average"), scores.responses["correlation_to_average"].per_neuron
            )


def test_second_stages_are_fitted_to_the_neurons_of_the_first(finished):
    runs = {run.cell: run for run in read_results(finished).runs}
    first = runs[Cell("region1", "cae-fr2", "all", 0)]
    chosen = first.per_neuron("significant").astype(bool)
    assert 0 < chosen.sum() < 12, "the recording must have neurons of both classes for this test"
    ids = np.array([f"n{i}" for i in range(12)])
    for neurons, expected in (("significant", ids[chosen]), ("insignificant", ids[~chosen])):
        run = runs[Cell("region1", "cae-fr2", neurons, 0)]
        assert json.loads((run.folder / "scores.json").read_text())["neuron_ids"] == expected.tolist()
        assert run.entry["n_neurons"] == len(expected)
    assert first.entry["n_significant"] == chosen.sum()


@pytest.mark.parametrize(("seed", "capacity"), [(1, 3), (2, 1)])
def test_the_same_runs_give_the_same_bytes_in_any_order(finished, small_recording, tmp_path, seed, capacity):
    engine = sweep(tmp_path / "r", small_recording, CELLS, InlineEngine(small_recording, seed=seed, capacity=capacity))
    assert len(engine.executed) == len(CELLS)
    assert tables(tmp_path / "r") == tables(finished)


def test_finished_runs_are_never_repeated(finished, small_recording):
    before = tables(finished)
    engine = sweep(finished, small_recording, CELLS, resume=True)
    assert engine.executed == []
    assert tables(finished) == before


def test_a_sweep_may_grow(small_recording, tmp_path):
    first, second = cells_of(["cae"]), cells_of(["cae", "vae"])
    sweep(tmp_path / "r", small_recording, first)
    engine = sweep(tmp_path / "r", small_recording, second, resume=True)
    assert [cell.model for cell in engine.executed] == ["vae"]
    assert sweep(tmp_path / "r", small_recording, first, resume=True).executed == []
    assert [run.cell.model for run in read_results(tmp_path / "r").runs] == ["cae", "vae"]


def test_an_interrupted_sweep_goes_on(finished, small_recording, tmp_path):
    stop = StopRequest()
    engine = InlineEngine(small_recording)

    def stop_after_four(job):
        stop.is_set = len(engine.executed) == 4

    engine.instead = stop_after_four
    with pytest.raises(Interrupted, match="interrupted with 4 of 9 runs finished; the same command with --resume"):
        sweep(tmp_path / "r", small_recording, CELLS, engine, stop=stop)
    assert [run.status for run in read_results(tmp_path / "r").runs].count("missing") == 5
    again = sweep(tmp_path / "r", small_recording, CELLS, resume=True)
    assert len(again.executed) == 5
    assert tables(tmp_path / "r") == tables(finished)


def test_a_failed_run_does_not_stop_the_rest(finished, small_recording, tmp_path):
    def refuse(job):
        if job.run.cell.model == "cae-fr2":
            return Outcome(job.run.digest, Status.FAILED, error="the fit: has diverged", traceback="line 1")
        return None

    engine = sweep(tmp_path / "r", small_recording, CELLS, InlineEngine(small_recording, instead=refuse))
    assert len(engine.executed) == 7  # and not the two second stages, which have no first
    failed = {run.cell.neurons: run for run in read_results(tmp_path / "r").runs if run.status == "failed"}
    assert failed["all"].entry["error"] == "the fit: has diverged"
    assert json.loads((failed["all"].folder / "error.json").read_text())["traceback"] == "line 1"
    assert failed["significant"].entry["error"] == "its first stage failed: the fit: has diverged"
    assert sweep(tmp_path / "r", small_recording, CELLS, resume=True).executed == []
    again = sweep(tmp_path / "r", small_recording, CELLS, resume=True, options=Options(retry_failed=True))
    assert len(again.executed) == 3
    assert tables(tmp_path / "r") == tables(finished)
    assert not list((tmp_path / "r").rglob("error.json"))


def test_a_fit_that_diverges_is_recorded(small_recording, tmp_path):
    sweep(tmp_path / "r", small_recording, cells_of(["cae"]), learning_rate=1e30)
    (run,) = read_results(tmp_path / "r").runs
    assert run.status == "failed"
    assert "has diverged" in run.entry["error"]
    assert "lower the learning rate" in (tmp_path / "r" / "results.csv").read_text()


@pytest.mark.parametrize("crashes", [1, 2])
def test_a_run_whose_process_died_is_tried_once_more(small_recording, tmp_path, crashes):
    left = [Outcome("", Status.CRASHED, error="the process was killed by SIGKILL")] * crashes

    def crash(job):
        return replace(left.pop(), digest=job.run.digest) if left and job.run.cell.model == "cae" else None

    cells = cells_of(["cae", "vae"])
    engine = sweep(tmp_path / "r", small_recording, cells, InlineEngine(small_recording, instead=crash))
    statuses = {run.cell.model: run.status for run in read_results(tmp_path / "r").runs}
    assert statuses == {"cae": "finished" if crashes == 1 else "failed", "vae": "finished"}
    assert len(engine.executed) == 3


def test_a_run_goes_on_from_the_state_of_its_fit(finished, small_recording, tmp_path):
    """A process is killed after a step; the state that it left behind is that of a real, interrupted fit."""
    engine = InlineEngine(small_recording)
    left = []

    def die(step, terms):
        if step == 2:
            raise KeyboardInterrupt

    def leave_a_state(job):
        if job.state_path.exists() or job.neuron_ids is not None:
            return None
        config = TrainingConfig(**job.run.training)
        with pytest.raises(KeyboardInterrupt):
            fit(small_recording, job.run.spec, config, state_path=job.state_path, on_step=die)
        left.append(job.state_path)
        return Outcome(job.run.digest, Status.CRASHED)

    engine.instead = leave_a_state
    sweep(tmp_path / "r", small_recording, CELLS, engine)
    timings = [json.loads(path.with_name("timing.json").read_text()) for path in left]
    assert [(timing["steps_taken_here"], timing["steps"]) for timing in timings] == [(2, 3)] * 7
    assert not list((tmp_path / "r").rglob("fit.state"))
    assert tables(tmp_path / "r") == tables(finished)


def test_a_damaged_state_is_no_obstacle(small_recording, tmp_path):
    engine = InlineEngine(small_recording)

    def damage(job):
        job.state_path.write_bytes(b"PK\x03\x04 half a state")

    engine.instead = damage
    sweep(tmp_path / "r", small_recording, cells_of(["cae"]), engine)
    assert [run.status for run in read_results(tmp_path / "r").runs] == ["finished"]


def test_a_full_disk_of_the_driver_ends_the_sweep(small_recording, tmp_path, monkeypatch):
    write_text = Path.write_text
    full = (".scores.json.", ".results.csv.", ".results.json.")

    def write(path, content, **options):
        return write_text(Path("/dev/full") if path.name.startswith(full) else path, content, **options)

    with monkeypatch.context() as patched:
        engine = InlineEngine(small_recording, instead=lambda job: patched.setattr(Path, "write_text", write))
        with pytest.raises(DaenrError, match="the disk is full; free some space"):
            sweep(tmp_path / "r", small_recording, cells_of(["cae", "vae"]), engine)
    assert len(engine.executed) == 1
    engine.jobs.clear()
    assert not list((tmp_path / "r").rglob("scores.json"))
    sweep(tmp_path / "r", small_recording, cells_of(["cae", "vae"]), resume=True)
    assert {run.status for run in read_results(tmp_path / "r").runs} == {"finished"}


def test_a_full_disk_of_a_worker_ends_the_sweep(small_recording, tmp_path, monkeypatch):
    write_bytes = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda path, content: write_bytes(Path("/dev/full"), content))
    with pytest.raises(DaenrError, match=r"fit\.state: the disk is full"):
        sweep(tmp_path / "r", small_recording, cells_of(["cae"]))


def test_a_worker_with_other_code_ends_the_sweep(small_recording, tmp_path, monkeypatch):
    monkeypatch.setattr("daenr_train.sweep.job.code_version", lambda: "other")
    with pytest.raises(DaenrError, match="has another version of daenr than the driver"):
        sweep(tmp_path / "r", small_recording, cells_of(["cae"]))


def test_other_code_fits_again_and_leaves_the_old_runs(small_recording, tmp_path, monkeypatch):
    cells = cells_of(["cae"])
    sweep(tmp_path / "r", small_recording, cells)
    for module in ("job", "driver"):
        monkeypatch.setattr(f"daenr_train.sweep.{module}.code_version", lambda: "f" * 64, raising=False)
    monkeypatch.setattr("sweep_doubles.code_version", lambda: "f" * 64)
    engine = sweep(tmp_path / "r", small_recording, cells, resume=True)
    assert engine.executed == list(cells)
    assert len(list((tmp_path / "r" / "runs").iterdir())) == 2
    assert re.search('"code": "f{64}"', (tmp_path / "r" / "results.json").read_text())
