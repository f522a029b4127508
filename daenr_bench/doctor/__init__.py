"""The doctor: what can run on this machine, what to install for the rest, and what would make a rig's loop late."""

from daenr_bench.doctor.diagnosis import Diagnosis, FlavourStatus, diagnose
from daenr_bench.doctor.printing import print_diagnosis

__all__ = ["Diagnosis", "FlavourStatus", "diagnose", "print_diagnosis"]
