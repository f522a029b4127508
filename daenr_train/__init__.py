"""Fits DAE-NR models (the paper's section 3) to images and the responses of neurons.

    from daenr_train.data import open_recording, simulate
    from daenr_train.spec import parse_model_name
    from daenr_train.fit import TrainingConfig, fit
    from daenr_train.checkpoint import load_checkpoint, save_checkpoint
    from daenr_train.evaluate import evaluate

`data`, `metrics` and `spec` do without torch.
"""
