"""A simulated V1 that answers to real photographs as the recorded regions do, with the true rates known.

`stimuli` cuts images from photographs, `neurons` turns them into drives, `noise` into responses; `simulation` puts
the three together with the diversity of a recorded region, and `calibration` compares the outcome with it.
"""

from daenr_train.data.insilico.calibration import CalibrationRow, RegionStatistics, calibration_table
from daenr_train.data.insilico.simulation import WrittenRegion, population_of, simulate, write_insilico

__all__ = [
    "CalibrationRow",
    "RegionStatistics",
    "WrittenRegion",
    "calibration_table",
    "population_of",
    "simulate",
    "write_insilico",
]
