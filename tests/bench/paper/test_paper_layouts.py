"""The layouts hold what the grids fit, and the transcription of the paper is whole and plausible."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from paper_factory import grid_cells

from daenr_bench.paper import layouts
from daenr_bench.paper.experiment import PAPER_REGIONS, Place
from daenr_bench.paper.layouts import Layout
from daenr_bench.paper.metrics import TO_AVERAGE
from daenr_bench.paper.pictures import MODELS
from daenr_bench.paper.published import published_figures

LAYOUTS = {
    layout.ident: layout
    for layout in (
        layouts.table2(PAPER_REGIONS),
        layouts.table3("region3"),
        layouts.table4(PAPER_REGIONS, TO_AVERAGE),
        layouts.table5("region3"),
        layouts.table6(PAPER_REGIONS, TO_AVERAGE),
        layouts.figure3(PAPER_REGIONS),
        layouts.figure4("region3"),
    )
}
PRINTED = ("table2", "table3", "table4", "table5", "table6")


def places(layout: Layout) -> set[Place]:
    return {spot.place for spot in layout.spots} | {spot.against for spot in layout.spots if spot.against}


@pytest.mark.parametrize("ident", LAYOUTS)
def test_the_grid_of_a_table_fits_what_it_shows(ident: str) -> None:
    fitted = {Place(cell.region, cell.model, cell.neurons) for cell in grid_cells(ident, [0])}
    first_stages = {place for place in fitted if ident == "table3" and place.neurons == "all"}
    assert fitted - first_stages == places(LAYOUTS[ident])


def test_the_grid_of_figure_2_fits_what_it_shows() -> None:
    assert {(cell.region, cell.model) for cell in grid_cells("figure2", [0])} == {("region3", m) for m in MODELS}


@pytest.mark.parametrize("ident", LAYOUTS)
def test_rows_are_as_wide_as_their_heads(ident: str) -> None:
    layout = LAYOUTS[ident]
    assert {len(row.spots) for row in layout.rows} == {len(layout.heads)}
    assert sum(width for _, width in layout.groups) in (0, len(layout.heads))
    assert len({(row.title, spot.column) for row in layout.rows for spot in row.spots}) == len(layout.spots)


def test_every_figure_of_the_paper_has_its_cell() -> None:
    cells = {(ident, row.title, spot.column) for ident in PRINTED for row in LAYOUTS[ident].rows for spot in row.spots}
    assert set(published_figures()) == cells
    assert len(cells) == 45 + 24 + 24 + 144 + 144


def printed(table: str, row: str, column: str) -> float:
    return published_figures()[table, row, column]


def test_the_mean_psnr_is_at_least_that_of_the_mean_error() -> None:
    # -log is convex; an error in the transcription of either would show here
    pairs = {key: key[2].replace("MSE", "PSNR") for key in published_figures() if "MSE" in key[2]}
    assert len(pairs) == 15 + 8 + 48
    for (table, row, column), other in pairs.items():
        least = 10 * math.log10(4 / (printed(table, row, column) + 0.0005))
        # table 5's CAE is 0.01 dB below what its error allows, in print too
        assert least - 0.02 <= printed(table, row, other) <= least + 1.5, (table, row, column)


def test_the_best_are_those_that_the_paper_names() -> None:
    # section 4.2: CAE-FR1, CAE-FR4 and CAE-FR2 in regions 1, 2 and 3
    rows = [row.title for row in LAYOUTS["table2"].rows]
    for region, best in (("Region 1", "CAE-FR1"), ("Region 2", "CAE-FR4"), ("Region 3", "CAE-FR2")):
        for metric, sign in (("MSE", -1), ("PSNR", 1), ("SSIM", 1)):
            column = f"{region} {metric}"
            most = max(sign * printed("table2", row, column) for row in rows)
            assert sign * printed("table2", best, column) == most


def test_joint_models_are_better_where_the_paper_says_so() -> None:
    # section 4.3: larger correlations in all three regions
    for region in ("Region 1", "Region 2", "Region 3"):
        for layer in range(1, 5):
            assert printed("table4", region, f"CAE-FR{layer}") > printed("table4", region, f"CNN-FR{layer}")
    # section 4.4: all variants with responses have a larger similarity than the autoencoder alone
    for row in LAYOUTS["table5"].rows:
        if not row.starts_part:
            trunk = row.title.rpartition("-")[0]
            for layer in range(1, 5):
                column = f"Region 3 h{layer} SSIM"
                assert printed("table5", row.title, column) > printed("table5", trunk, column)


def test_the_claims_are_the_paper_s() -> None:
    families = {
        ident: list(dict.fromkeys(s.family for s in each.spots if s.against)) for ident, each in LAYOUTS.items()
    }
    assert families["table2"] == ["CAE-FR against CAE"]
    assert families["table3"] == ["CAE-FR, significant against insignificant"]
    assert families["table4"] == families["figure3"] == ["CAE-FR against CNN-FR"]
    assert families["table5"] == [f"{a}-{r} against {a}" for a in ("CAE", "VAE", "VQ-VAE") for r in ("FR", "FC", "FM")]
    assert families["table6"] == [
        f"{a}-{r} against CNN-{r}" for r in ("FR", "FC", "FM") for a in ("CAE", "VAE", "VQ-VAE")
    ]
    assert families["figure4"] == []


def test_what_the_guide_says_of_the_paper_s_numbers() -> None:
    """How many of the paper's own cells are not better than their baselines (docs/paper.md)."""
    worse = {}
    for ident in PRINTED:
        layout = LAYOUTS[ident]
        values = {
            (spot.place, spot.metric): printed(ident, row.title, spot.column)
            for row in layout.rows
            for spot in row.spots
        }
        compared = [
            (values[spot.place, spot.metric] - values[spot.against, spot.metric])
            * (1 if spot.metric.higher_is_better else -1)
            for spot in layout.spots
            if spot.against is not None
        ]
        worse[ident] = (sum(gain <= 0 for gain in compared), len(compared))
    assert worse == {"table2": (4, 36), "table3": (3, 12), "table4": (0, 12), "table5": (2, 108), "table6": (4, 108)}
    guide = (Path(__file__).parents[3] / "docs" / "paper.md").read_text("utf-8")
    assert "Of 276 cells with a baseline, 13 are not better than it" in guide
    assert "4 of 36 in table 2, 3 of 12 in table 3" in guide
    assert "none of 12 in table 4, 2 of 108 in table 5, 4 of 108 in table 6" in guide
