from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from paper_factory import grid_cells, scores_of, write_sweep
from scipy import stats

from daenr_bench.paper import layouts
from daenr_bench.paper.comparisons import Finding, Outcome, cells, claims, find
from daenr_bench.paper.experiment import Experiment
from daenr_bench.paper.metrics import TO_AVERAGE
from daenr_bench.paper.statistics import holm
from daenr_train.sweep.grid import Cell
from daenr_train.sweep.results import read_results

SEEDS = range(5)
Error = Callable[[Cell], float]


def experiment_of(path: Path, error: Error, table: str = "table2", seeds: range = SEEDS) -> Experiment:
    def invent(cell: Cell) -> dict[str, object]:
        return scores_of(cell, mse=error(cell), correlation=1 - 10 * error(cell))

    return Experiment(read_results(write_sweep(path, grid_cells(table, seeds), invent)))


def noisy(gain: float, spread: float = 0.001) -> Error:
    """An error that joint models have less of by `gain`, with a spread over seeds."""

    def error(cell: Cell) -> float:
        noise = np.random.default_rng([cell.seed, len(cell.model), int(cell.region[-1])]).normal(0, spread)
        joint = "-" in cell.model and not cell.model.startswith("cnn")
        return 0.05 - gain * joint + noise

    return error


def found(experiment: Experiment) -> list[Finding]:
    return find(claims(layouts.table2(experiment.regions)), experiment)


@pytest.mark.parametrize(
    ("gain", "outcome"), [(0.01, Outcome.SHOWN), (-0.01, Outcome.OPPOSITE), (0.0, Outcome.NOT_SHOWN)]
)
def test_a_claim_is_shown_or_its_opposite_or_neither(tmp_path: Path, gain: float, outcome: Outcome) -> None:
    findings = found(experiment_of(tmp_path / "r", noisy(gain)))
    assert [finding.comparison.metric.name for finding in findings] == ["MSE", "PSNR", "SSIM"]
    assert {finding.outcome for finding in findings} == {outcome}
    assert {finding.seeds for finding in findings} == {tuple(SEEDS)}


def test_a_seed_is_one_pair_whatever_it_has_fitted(tmp_path: Path) -> None:
    """Regions and layers of a seed share baselines and images: fifteen pairs of them would make p far too small."""
    error = noisy(0.001)
    (mse, *_) = found(experiment_of(tmp_path / "r", error))
    pairs = [
        (
            np.mean([error(Cell(f"region{r}", f"cae-fr{i}", "all", seed)) for r in (1, 2, 3) for i in (1, 2, 3, 4)]),
            np.mean([error(Cell(f"region{r}", "cae", "all", seed)) for r in (1, 2, 3)]),
        )
        for seed in SEEDS
    ]
    assert mse.p == pytest.approx(stats.ttest_rel(*zip(*pairs, strict=True)).pvalue)
    assert mse.compared == 12
    assert mse.first == pytest.approx(np.mean([first for first, _ in pairs]))
    assert mse.second == pytest.approx(np.mean([second for _, second in pairs]))


def test_all_tests_of_a_table_are_corrected_together(tmp_path: Path) -> None:
    experiment = experiment_of(tmp_path / "r", noisy(0.005))
    findings = find(cells(layouts.table2(experiment.regions)), experiment)
    assert len(findings) == 36
    assert findings[0].comparison.says == "CAE-FR1, Region 1 MSE"
    p_values = [finding.p for finding in findings if finding.p is not None]
    assert [finding.p_holm for finding in findings] == pytest.approx(holm(p_values))
    assert {finding.outcome for finding in findings} == {Outcome.SHOWN, Outcome.NOT_SHOWN}
    assert max(p_values) < 0.05  # each alone would have been shown


@pytest.mark.parametrize(("seeds", "reason"), [(1, "1 pair, a test needs 3"), (2, "2 pairs, a test needs 3")])
def test_too_few_seeds_cannot_tell(tmp_path: Path, seeds: int, reason: str) -> None:
    findings = found(experiment_of(tmp_path / "r", noisy(0.02), seeds=range(seeds)))
    assert {(finding.outcome, finding.reason, finding.p_holm) for finding in findings} == {
        (Outcome.CANNOT_TELL, reason, None)
    }


def test_equal_models_cannot_be_told_apart(tmp_path: Path) -> None:
    findings = found(experiment_of(tmp_path / "r", lambda cell: 0.05))
    assert {(finding.outcome, finding.reason) for finding in findings} == {
        (Outcome.CANNOT_TELL, "all pairs differ by the same")
    }


def test_what_has_not_finished_is_left_out_and_named(tmp_path: Path) -> None:
    def invent(cell: Cell) -> dict[str, object] | str | None:
        if cell.model == "cae-fr4":
            return None
        if (cell.model, cell.region, cell.seed) == ("cae-fr1", "region2", 4):
            return "the fit: has diverged"
        return scores_of(cell, mse=noisy(0.01)(cell), correlation=0.3)

    path = write_sweep(tmp_path / "r", grid_cells("table2", SEEDS), invent)
    experiment = Experiment(read_results(path))
    (mse, *_) = found(experiment)
    assert mse.seeds == (0, 1, 2, 3)
    assert mse.reason == "over 9 of 12 cells; without seed 4, not finished in all cells"
    assert mse.outcome is Outcome.SHOWN
    by_name = {f.comparison.says: f for f in find(cells(layouts.table2(experiment.regions)), experiment)}
    assert by_name["CAE-FR1, Region 1 MSE"].seeds == tuple(SEEDS)
    assert by_name["CAE-FR4, Region 1 MSE"].reason == "no seed has finished in both"


def test_no_seed_in_common(tmp_path: Path) -> None:
    def invent(cell: Cell) -> dict[str, object] | None:
        wanted = cell.seed == {"region1": 0, "region2": 1}.get(cell.region, 2)
        return scores_of(cell, mse=0.05, correlation=0.3) if wanted else None

    experiment = Experiment(read_results(write_sweep(tmp_path / "r", grid_cells("table2", SEEDS), invent)))
    assert {finding.reason for finding in found(experiment)} == {"no seed has finished in all that is compared"}


def test_correlations_are_compared_over_the_neurons_that_both_have(tmp_path: Path) -> None:
    """The joint model cannot be scored on the best half of the neurons; what is left, it predicts as its baseline."""

    def invent(cell: Cell) -> dict[str, object]:
        scores = scores_of(cell, mse=0.05, correlation=0.3)
        values = [0.1 + 0.01 * k + 0.001 * cell.seed for k in range(12)]
        if cell.model.startswith("cae"):
            values = [None] * 6 + [value + 0.02 + 0.001 * cell.seed for value in values[6:]]
        scored = [value for value in values if value is not None]
        scores["per_neuron"]["correlation_to_average"] = values
        scores["responses"]["correlation_to_average"] = {"mean": float(np.mean(scored)), "n_scored": len(scored)}
        return scores

    experiment = Experiment(read_results(write_sweep(tmp_path / "r", grid_cells("table4", range(3)), invent)))
    (finding,) = find(claims(layouts.table4(experiment.regions, TO_AVERAGE)), experiment)
    assert finding.difference is not None
    assert finding.difference.mean == pytest.approx(0.02 + 0.001)  # and not 0.03 more, as the means over neurons say
    assert finding.outcome is Outcome.SHOWN


def test_no_neuron_in_common_is_no_pair(tmp_path: Path) -> None:
    def invent(cell: Cell) -> dict[str, object]:
        return scores_of(cell, mse=0.05, correlation=0.3, unscored=12 if cell.model.startswith("cae") else 0)

    experiment = Experiment(read_results(write_sweep(tmp_path / "r", grid_cells("table4", range(3)), invent)))
    (finding,) = find(claims(layouts.table4(experiment.regions, TO_AVERAGE)), experiment)
    assert finding.reason == "no seed has finished in both"
