"""The recordings that a model learns from, whatever layout they were published in."""

from daenr_train.data.insilico.simulation import simulate
from daenr_train.data.npz import write_npz
from daenr_train.data.opening import open_recording
from daenr_train.data.recording import Recording
from daenr_train.data.split import Split, split

__all__ = ["Recording", "Split", "open_recording", "simulate", "split", "write_npz"]
