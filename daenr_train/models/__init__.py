"""All 51 models of the paper, from one small set of parts."""

from daenr_train.models.dae_nr import DaeNr as DaeNr
from daenr_train.models.dae_nr import Output as Output
from daenr_train.models.dae_nr import inference_parts as inference_parts
from daenr_train.models.dae_nr import make_model as make_model
