"""Fitting a model to a recording: the loss, the procedure, and its state."""

from daenr_train.fit.config import TrainingConfig as TrainingConfig
from daenr_train.fit.fitting import fit as fit
