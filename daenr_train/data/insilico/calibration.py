"""Does a simulated region look like the recorded one: the same statistics of both, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from daenr_common.errors import SpecError
from daenr_train.data.recording import Recording
from daenr_train.metrics.ceilings import cc_max, fraction_explainable, normalised_noise_power


@dataclass(frozen=True)
class RegionStatistics:
    """What the three recorded regions look like.

    The recordings are those of Antolík, Hofer, Bednar & Mrsic-Flogel (2016, PLoS Comput Biol, doi
    10.1371/journal.pcbi.1004927, supplement S1); all figures follow from its files with the estimators of
    `daenr_train.metrics`. Region 3's share of zero responses was not at hand and is set to that of the other two.

    Args:
        n_neurons, n_images, n_repeats: sizes.
        zero_fraction: share of training responses that are exactly zero.
        mean, deviation: of all training responses.
        noise_power: normalised noise power of the test responses, mean over neurons.
        ceiling: CCmax, mean over neurons (0 where no signal was found).
        explainable_share: share of neurons whose fraction of explainable variance is at least 0.15.
    """

    n_neurons: int
    n_images: int
    n_repeats: int
    zero_fraction: float
    mean: float
    deviation: float
    noise_power: float
    ceiling: float
    explainable_share: float


N_TEST_IMAGES = 50

RECORDED = {
    1: RegionStatistics(103, 1800, 10, 0.509, 0.557, 1.106, 0.759, 0.808, 68 / 103),
    2: RegionStatistics(55, 1260, 8, 0.489, 0.605, 1.130, 0.818, 0.697, 28 / 55),
    3: RegionStatistics(102, 1800, 12, 0.500, 0.688, 1.425, 0.791, 0.784, 61 / 102),
}
"""The recorded statistics, by region."""

TOLERANCE = RegionStatistics(0, 0, 0, 0.02, 0.02, 0.05, 0.04, 0.06, 0.14)
"""How far a simulated statistic may lie from the recorded one.

For the last three, which rest on 50 test images, this is two to three times the scatter from seed to seed in
region 2, which has the fewest neurons.
"""


class CalibrationRow(NamedTuple):
    """One statistic of a recorded and of a simulated region."""

    statistic: str
    target: float
    simulated: float
    tolerance: float
    ok: bool


def calibration_table(recording: Recording, region: int) -> list[CalibrationRow]:
    """Compare a simulated region with the recorded one.

    Args:
        recording: the simulated region.
        region: 1, 2 or 3, the recorded region to compare with.

    Returns:
        One row per statistic: its name, the recorded value, the simulated one, the tolerance, and whether it is kept.

    Raises:
        SpecError: there is no such region.
    """
    target, simulated = recorded(region), describe(recording)
    rows = []
    for field, label in _LABELS.items():
        wanted, found, tolerance = (float(getattr(s, field)) for s in (target, simulated, TOLERANCE))
        rows.append(CalibrationRow(label, wanted, found, tolerance, abs(found - wanted) <= tolerance))
    return rows


def recorded(region: int) -> RegionStatistics:
    """The statistics of a recorded region.

    Raises:
        SpecError: there is no such region.
    """
    if region not in RECORDED:
        raise SpecError("region", f"is {region!r}, expected 1, 2 or 3", "choose one of the recorded regions")
    return RECORDED[region]


def describe(recording: Recording) -> RegionStatistics:
    """The statistics of a recording, with the estimators that the recorded ones were found with."""
    return RegionStatistics(
        recording.n_neurons,
        recording.n_images,
        recording.n_repeats,
        zero_fraction=float((recording.responses == 0).mean()),
        mean=float(recording.responses.mean(dtype=np.float64)),
        deviation=float(recording.responses.std(dtype=np.float64)),
        noise_power=float(np.nanmean(normalised_noise_power(recording.test_responses))),
        ceiling=float(np.nanmean(cc_max(recording.test_responses))),
        explainable_share=float((fraction_explainable(recording.test_responses) >= 0.15).mean()),
    )


_LABELS = {
    "zero_fraction": "share of zero responses",
    "mean": "mean response",
    "deviation": "SD of responses",
    "noise_power": "normalised noise power",
    "ceiling": "CCmax",
    "explainable_share": "neurons with FEV ≥ 0.15",
}
