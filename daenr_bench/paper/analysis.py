"""All that the report says, as figures: filled tables, tested claims, pictures."""

from __future__ import annotations

from dataclasses import dataclass

from daenr_bench.paper import layouts
from daenr_bench.paper.comparisons import Finding, cells, claims, find
from daenr_bench.paper.experiment import Experiment
from daenr_bench.paper.filling import Filled, fill
from daenr_bench.paper.layouts import Layout
from daenr_bench.paper.metrics import CORRELATIONS
from daenr_bench.paper.pictures import Sheet, figure2
from daenr_train.sweep.results import Results


@dataclass(frozen=True)
class Part:
    """A table, or the figures behind a drawing, and the tests of what it claims."""

    filled: Filled
    claims: tuple[Finding, ...]
    cells: tuple[Finding, ...]

    @property
    def layout(self) -> Layout:
        """Where its cells stand."""
        return self.filled.layout


@dataclass(frozen=True)
class Analysis:
    """The results of a sweep, looked at as the paper does.

    Attributes:
        experiment: the results by place.
        correlation: a key of `CORRELATIONS`.
        parts: by ident, in the order of the paper.
        sheet: figure 2.
    """

    experiment: Experiment
    correlation: str
    parts: dict[str, Part]
    sheet: Sheet


def analyse(results: Results, correlation: str) -> Analysis:
    """Fill all tables and test all claims.

    Raises:
        DaenrError: files of a finished run are missing or damaged.
        MissingExtraError: SciPy is not installed.
    """
    experiment = Experiment(results)
    regions, focus, metric = experiment.regions, experiment.focus, CORRELATIONS[correlation]
    found = (
        layouts.table2(regions),
        layouts.figure3(regions),
        layouts.table3(focus),
        layouts.figure4(focus),
        layouts.table4(regions, metric),
        layouts.table5(focus),
        layouts.table6(regions, metric),
    )
    parts = {layout.ident: _part(layout, experiment) for layout in found}
    return Analysis(experiment, correlation, parts, figure2(experiment))


def _part(layout: Layout, experiment: Experiment) -> Part:
    tested = (tuple(find(questions(layout), experiment)) for questions in (claims, cells))
    return Part(fill(layout, experiment), *tested)
