from __future__ import annotations

import grimp
import pytest
from sweep_doubles import cells_of, plan_of

from daenr_train.sweep.code_version import code_version, deciding_files
from daenr_train.sweep.plan import plan_runs

CODE = "c" * 64
MODELS = ("cae", "cae-fr2", "cnn-fr2")


def runs_of(recording, code=CODE, **settings):
    plan = plan_of(recording, cells_of(MODELS, seeds=(0, 1)), **settings)
    return plan_runs(plan.cells, plan.recordings, code)


def digests(runs):
    return {run.digest for run in runs.values()}


def test_each_run_has_an_address_of_its_own(small_recording):
    runs = runs_of(small_recording)
    assert len(digests(runs)) == 6
    assert digests(runs) == digests(runs_of(small_recording))


@pytest.mark.parametrize("change", [{"beta": 2.0}, {"max_steps": 4}, {"code": "d" * 64}])
def test_what_decides_a_fit_changes_every_address(small_recording, change):
    assert not digests(runs_of(small_recording)) & digests(runs_of(small_recording, **change))


def test_another_recording_changes_every_address(small_recording):
    plan = plan_of(small_recording, cells_of(MODELS))
    facts = plan.recordings["region1"]
    other = {"region1": type(facts)(**(vars(facts) | {"fingerprint": "e" * 64}))}
    assert not digests(plan_runs(plan.cells, plan.recordings, CODE)) & digests(plan_runs(plan.cells, other, CODE))


def test_second_stages_come_last_and_know_their_first(small_recording):
    cells = cells_of(["cae-fr2"], neurons=("all", "significant", "insignificant"), seeds=(0, 1))
    plan = plan_of(small_recording, cells)
    runs = plan_runs(plan.cells, plan.recordings, CODE)
    assert [cell.neurons == "all" for cell in runs] == [True] * 2 + [False] * 4
    for cell, run in runs.items():
        assert run.first_stage == (runs[cell.first_stage].digest if cell.first_stage else None)
    assert len(digests(runs)) == 6


NOT_DECIDING = {
    "daenr_train.fit.interruption",
    "daenr_train.sweep.code_version",
    "daenr_train.sweep.grid",
    "daenr_train.sweep.memory",
    "daenr_train.sweep.plan",
}
"""Imported on the way to a score without deciding it: signals, measurements, and what is in the address itself."""


def test_the_code_version_covers_all_that_a_score_depends_on():
    graph = grimp.build_graph("daenr_train", include_external_packages=False)
    readers = {name for name in graph.modules if name.startswith("daenr_train.data.")}
    reached = graph.find_upstream_modules("daenr_train.sweep.job", as_package=False) | {"daenr_train.sweep.job"}
    covered = {
        "daenr_train." + str(path).rpartition("daenr_train/")[2].removesuffix(".py").replace("/", ".")
        for path in deciding_files()
    }
    covered |= {name.removesuffix(".__init__") for name in covered}
    # what a reader makes of a file is in the recording's fingerprint; `checks` only refuses
    decided_by_the_fingerprint = readers - {f"daenr_train.data.{name}" for name in ("content", "recording", "split")}
    assert reached - covered == (reached & decided_by_the_fingerprint) | NOT_DECIDING


def test_the_code_version_follows_the_sources(tmp_path):
    package = tmp_path / "package"
    (package / "fit").mkdir(parents=True)
    (package / "spec.py").write_bytes(b"x = 1\n")
    (package / "cli.py").write_bytes(b"print()\n")
    first = code_version.__wrapped__(package)
    (package / "cli.py").write_bytes(b"print(2)\n")  # decides nothing
    (package / "spec.py").write_bytes(b"x = 1\r\n")  # as a checkout on Windows has it
    assert code_version.__wrapped__(package) == first
    (package / "spec.py").write_bytes(b"x = 2\n")
    assert code_version.__wrapped__(package) != first
