"""Scores per neuron that keep apart what was scored from what could not be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class NeuronScores:
    """One metric for every neuron.

    A neuron that cannot be scored has NaN, is counted, and does not enter the mean: a score of 0 would say that
    the model failed on it.

    Args:
        per_neuron: (M,) the score, NaN where there is none.
        n_silent: neurons without any response to the test images.
        n_constant: other neurons whose responses, or predictions, are the same for all images.
        n_excluded: other neurons that the metric's definition leaves out.
    """

    per_neuron: NDArray[np.float64]
    n_silent: int = 0
    n_constant: int = 0
    n_excluded: int = 0

    @property
    def n_scored(self) -> int:
        """Number of neurons with a score."""
        return int(np.isfinite(self.per_neuron).sum())

    @property
    def mean(self) -> float:
        """Mean over the scored neurons, NaN if there is none."""
        return float(np.mean(self._scored)) if self.n_scored else math.nan

    @property
    def median(self) -> float:
        """Median over the scored neurons, NaN if there is none."""
        return float(np.median(self._scored)) if self.n_scored else math.nan

    def summary(self) -> dict[str, float | int | None]:
        """Mean, median and counts, ready for JSON: None stands for NaN."""
        return {
            "mean": number_or_none(self.mean),
            "median": number_or_none(self.median),
            "n_scored": self.n_scored,
            "n_silent": self.n_silent,
            "n_constant": self.n_constant,
            "n_excluded": self.n_excluded,
        }

    @property
    def _scored(self) -> NDArray[np.float64]:
        return self.per_neuron[np.isfinite(self.per_neuron)]


class ResponseScores(dict[str, NeuronScores]):
    """The scores of a model's predicted responses by metric; each key names the definition that was used."""

    def summary(self) -> dict[str, dict[str, float | int | None]]:
        """Mean, median and counts of every metric, ready for JSON."""
        return {name: scores.summary() for name, scores in self.items()}

    def per_neuron(self) -> dict[str, NDArray[np.float64]]:
        """The (M,) scores of every metric."""
        return {name: scores.per_neuron for name, scores in self.items()}


def number_or_none(value: float) -> float | None:
    """JSON knows neither NaN nor infinity."""
    return value if math.isfinite(value) else None
