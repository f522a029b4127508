"""What the tables show of a run: a score, how it is called and written, and which way it is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from daenr_common.errors import DaenrError
from daenr_common.strict_json import FieldError, decode
from daenr_train.sweep.results import Result


@dataclass(frozen=True)
class Metric:
    """A score of a run.

    Attributes:
        key: its name in results.json.
        part: the object there that holds it; empty for the run's own.
        name: for readers.
        decimals: that are shown.
        higher_is_better: which way it is better.
    """

    key: str
    part: str
    name: str
    decimals: int
    higher_is_better: bool

    @property
    def head(self) -> str:
        """As the paper writes it: `MSE ↓`, with a space that does not break."""
        return f"{self.name}\u00a0{'↑' if self.higher_is_better else '↓'}"

    def text(self, value: float) -> str:
        """A value with the metric's decimals."""
        return f"{value:.{self.decimals}f}"

    def of(self, run: Result) -> float | None:
        """A finished run's score: the mean over test images or scored neurons; None if nothing could be scored.

        Raises:
            DaenrError: results.json does not hold it.
        """
        keys = (self.part, self.key, "mean") if self.part == "responses" else (self.part, self.key)
        return _number(run, tuple(filter(None, keys)), self.name)

    def of_both(self, first: Result, second: Result) -> tuple[float, float] | None:
        """The scores of two runs that are compared, over the neurons that could be scored in both.

        A neuron that one of them predicts as constant has no correlation there; left out of one mean only, it would
        make that one look better. None if nothing could be scored in both.

        Raises:
            DaenrError: a run's scores are missing or damaged.
        """
        if self.part != "responses":
            scores = self.of(first), self.of(second)
            return None if None in scores else scores  # type: ignore[return-value]
        one, other = first.per_neuron(self.key), second.per_neuron(self.key)
        both = np.isfinite(one) & np.isfinite(other)
        return (float(one[both].mean()), float(other[both].mean())) if both.any() else None


def neurons_without_a_correlation(run: Result) -> int:
    """How many neurons of a finished run with a readout have no correlation with the average of the repeats.

    Raises:
        DaenrError: results.json does not hold it.
    """
    scored = _number(run, ("responses", TO_AVERAGE.key, "n_scored"), "number of scored neurons")
    return round((_number(run, ("n_neurons",), "number of neurons") or 0) - (scored or 0))


def _number(run: Result, keys: tuple[str, ...], name: str) -> float | None:
    value: Any = run.entry
    try:
        for key in keys:
            value = value[key]
        return None if value is None else decode(float, value, ".".join(keys))
    except (KeyError, TypeError, FieldError) as error:
        problem = f"has no {name} of {run.cell} ({error})"
        raise DaenrError("results.json", problem, "run the sweep again with --resume") from error


MSE = Metric("mse", "images", "MSE", 4, higher_is_better=False)
PSNR = Metric("psnr", "images", "PSNR", 2, higher_is_better=True)
SSIM = Metric("ssim", "images", "SSIM", 3, higher_is_better=True)
TO_AVERAGE = Metric("correlation_to_average", "responses", "PCC", 3, higher_is_better=True)
SINGLE_TRIAL = Metric("correlation_single_trial", "responses", "PCC", 3, higher_is_better=True)
SIGNIFICANT = Metric("n_significant", "", "significant neurons", 1, higher_is_better=True)
INSIGNIFICANT = Metric("n_insignificant", "", "insignificant neurons", 1, higher_is_better=False)

CORRELATIONS = {"average": TO_AVERAGE, "single-trial": SINGLE_TRIAL}
"""What the tables' correlation may be, by the name of the option."""

CORRELATION_WITH = {
    "average": "the average of the repeated responses to a test image",
    "single-trial": "the responses of all single trials at once",
}
"""The same in words."""
