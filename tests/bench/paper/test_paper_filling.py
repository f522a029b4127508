from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from paper_factory import REAL, grid_cells, plausible, scores_of, write_sweep
from scipy import stats

from daenr_bench.paper import layouts
from daenr_bench.paper.experiment import Experiment
from daenr_bench.paper.filling import Entry, Filled, fill
from daenr_bench.paper.layouts import Layout
from daenr_bench.paper.metrics import TO_AVERAGE
from daenr_common.errors import DaenrError
from daenr_train.sweep.grid import Cell
from daenr_train.sweep.results import read_results

CELLS = grid_cells("table2", range(3))


def experiment_of(path: Path) -> Experiment:
    return Experiment(read_results(path))


def entry_of(filled: Filled, row: str, column: str) -> Entry:
    (found,) = [entry for entry in filled.entries if (entry.row, entry.spot.column) == (row, column)]
    return found


def table2(experiment: Experiment) -> Layout:
    return layouts.table2(experiment.regions)


def test_means_and_intervals_are_those_of_the_runs(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "r", CELLS, plausible)
    experiment = experiment_of(path)
    filled = fill(table2(experiment), experiment)
    for entry in filled.entries:
        place = entry.spot.place
        values = [
            run.entry["images"][entry.spot.metric.key]
            for run in experiment.results.runs
            if (run.cell.region, run.cell.model) == (place.region, place.model)
        ]
        assert entry.estimate is not None
        assert entry.estimate.n == 3
        assert entry.estimate.mean == pytest.approx(np.mean(values))
        _, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
        assert entry.estimate.mean + (entry.estimate.half_width or 0) == pytest.approx(high)
        assert entry.lack == ""


def test_the_best_of_each_column_is_marked(tmp_path: Path) -> None:
    def invent(cell: Cell) -> dict[str, object]:
        mse = {"cae": 0.05, "cae-fr1": 0.02, "cae-fr2": 0.02}.get(cell.model, 0.04)
        return scores_of(cell, mse=mse, correlation=0.3)

    experiment = experiment_of(write_sweep(tmp_path / "r", CELLS, invent))
    filled = fill(table2(experiment), experiment)
    assert {entry.row for entry in filled.entries if entry.is_best} == {"CAE-FR1", "CAE-FR2"}  # equally good
    assert sum(entry.is_best for entry in filled.entries) == 2 * 9


def test_a_figure_without_rivals_is_not_the_best(tmp_path: Path) -> None:
    cells = [cell for cell in CELLS if cell.model == "cae"]
    experiment = experiment_of(write_sweep(tmp_path / "r", cells, plausible))
    assert not [entry for entry in fill(table2(experiment), experiment).entries if entry.is_best]


def test_what_is_lacking_has_its_reason(tmp_path: Path) -> None:
    def invent(cell: Cell) -> dict[str, object] | str | None:
        if cell.model == "cae-fr1":
            return "the fit: has diverged"
        if cell.model == "cae-fr2":
            return None
        if cell.model == "cae-fr3" and cell.seed:
            return "the fit: has diverged" if cell.seed == 1 else None
        return plausible(cell)

    cells = [cell for cell in CELLS if cell.model != "cae-fr4"]
    experiment = experiment_of(write_sweep(tmp_path / "r", cells, invent))
    filled = fill(table2(experiment), experiment)
    lacks = {entry.row: (entry.lack, entry.coverage.share) for entry in filled.entries}
    assert lacks == {
        "CAE": ("", ""),
        "CAE-FR1": ("failed", ""),
        "CAE-FR2": ("unfinished", ""),
        "CAE-FR3": ("", "1 of 3 seeds"),
        "CAE-FR4": ("not swept", ""),
    }
    alone = entry_of(filled, "CAE-FR3", "Region 1 MSE").estimate
    assert alone is not None
    assert alone.half_width is None


def test_neurons_that_nobody_scores_leave_no_figure(tmp_path: Path) -> None:
    def invent(cell: Cell) -> dict[str, object]:
        return scores_of(cell, mse=0.05, correlation=0.3, unscored=12 if cell.model == "cnn-fr1" else 0)

    experiment = experiment_of(write_sweep(tmp_path / "r", grid_cells("table4", [0], ["3"]), invent))
    filled = fill(layouts.table4(experiment.regions, TO_AVERAGE), experiment)
    assert entry_of(filled, "Region 3", "CNN-FR1").lack == "not scored"


def test_the_paper_s_figures_stand_beside_its_own_data_only(tmp_path: Path) -> None:
    for name, facts, expected in (
        ("real", REAL, 45),
        ("simulated", {}, 0),
        ("of somebody else", {"simulated": False}, 0),
    ):
        experiment = experiment_of(write_sweep(tmp_path / name, CELLS, plausible, **facts))
        filled = fill(table2(experiment), experiment)
        assert sum(entry.published is not None for entry in filled.entries) == expected
    real = experiment_of(tmp_path / "real")
    assert entry_of(fill(table2(real), real), "CAE-FR4", "Region 3 PSNR").published == 18.462


def test_what_the_paper_printed_for_region_3_stands_beside_region_3_only(tmp_path: Path) -> None:
    for region, expected in (("region1", 0), ("region3", 2 * 4 * 3)):
        cells = [Cell(region, model, "all", 0) for model in ("cae", "cae-fr1")]
        experiment = experiment_of(write_sweep(tmp_path / region, cells, plausible, **REAL))
        assert experiment.focus == region
        filled = fill(layouts.table5(experiment.focus), experiment)
        shown = [entry for entry in filled.entries if entry.published is not None and entry.row in ("CAE", "CAE-FR")]
        assert len(shown) == expected


def test_other_regions_have_columns_of_their_own(tmp_path: Path) -> None:
    cells = [Cell("mouse7", "cae", "all", 0), Cell("mouse8", "cae-fr1", "all", 0)]
    experiment = experiment_of(write_sweep(tmp_path / "r", cells, plausible, **REAL))
    assert experiment.regions == ("mouse7", "mouse8")
    assert experiment.focus == "mouse8"
    filled = fill(table2(experiment), experiment)
    assert [title for title, _ in filled.layout.groups] == ["mouse7", "mouse8"]
    assert not [entry for entry in filled.entries if entry.published is not None]


def test_a_score_that_is_not_there_is_named(tmp_path: Path) -> None:
    def invent(cell: Cell) -> dict[str, object]:
        return plausible(cell) | ({"images": {"mse": "small"}} if cell.model == "cae" else {})

    experiment = experiment_of(write_sweep(tmp_path / "r", CELLS, invent))
    with pytest.raises(DaenrError, match=r"results\.json: has no MSE of cae on region1, seed 0"):
        fill(table2(experiment), experiment)
