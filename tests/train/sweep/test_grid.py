from __future__ import annotations

from collections import Counter

import pytest

from daenr_train.spec import model_names
from daenr_train.sweep.grid import GRIDS, Cell


def cells_of(name, seeds=(0,)):
    grid = GRIDS[name]
    return grid.cells({region: f"region{region}" for region in grid.regions}, seeds)


def test_the_grid_of_the_paper_is_every_model_on_every_region():
    first = [cell for cell in cells_of("paper", range(5)) if cell.neurons == "all"]
    assert len(first) == 3 * (36 + 3 + 12) * 5
    assert Counter((cell.region, cell.seed) for cell in first) == {
        (f"region{region}", seed): 51 for region in (1, 2, 3) for seed in range(5)
    }
    assert {cell.model for cell in first} == set(model_names())


# What the tables compare: 2: CAE and CAE-FR on three regions. 3: CAE-FR on region 3, fitted to all neurons and then to
# each class. 4: CNN-FR and CAE-FR. 5: 36 joint models and three autoencoders on region 3. 6: 48 on three regions.
@pytest.mark.parametrize(
    ("table", "count"),
    [
        ("table2", 5 * 3),
        ("table3", 4 * 3),
        ("table4", 8 * 3),
        ("table5", 39),
        ("table6", 48 * 3),
        ("figure2", 5),
        ("figure3", 8 * 3),
        ("figure4", 4),
        ("evidence", 9 * 3),
        ("smoke", 13),
    ],
)
def test_the_grids_of_the_tables(table, count):
    assert len(cells_of(table)) == count


def test_the_grid_of_the_paper_holds_all_tables():
    together = {cell for name in GRIDS if name != "smoke" for cell in cells_of(name)}
    assert together == set(cells_of("paper"))


def test_the_evidence_is_tables_2_and_4():
    assert set(cells_of("evidence")) == {*cells_of("table2"), *cells_of("table4")}
    assert set(cells_of("evidence")) >= {*cells_of("figure2"), *cells_of("figure3"), *cells_of("figure4")}
    assert GRIDS["evidence"].seeds == (0, 1, 2)


def test_a_second_stage_brings_its_first_stage():
    cells = cells_of("table3")
    assert {cell.first_stage for cell in cells if cell.neurons != "all"} == {c for c in cells if c.neurons == "all"}
    assert Cell("region3", "cae-fr1", "significant", 0).first_stage == Cell("region3", "cae-fr1", "all", 0)


def test_regions_may_be_others():
    grid = GRIDS["table2"].on_regions(["mouse7"])
    assert {cell.region for cell in grid.cells({"mouse7": "mouse7"}, (0,))} == {"mouse7"}
    assert len(grid.cells({"mouse7": "mouse7"}, (0, 4))) == 10


def test_cells_are_named_in_messages():
    assert str(Cell("region3", "cae-fr1", "all", 0)) == "cae-fr1 on region3, seed 0"
    assert str(Cell("region3", "cae-fr1", "significant", 2)) == "cae-fr1 on region3, significant neurons, seed 2"
