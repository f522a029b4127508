"""The loops that a step of fitting is measured beside, all over the same model, images, loss and batch size."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator

import torch
from torch.utils.data import DataLoader, TensorDataset

from daenr_common.extras import is_installed
from daenr_train.data import Recording, split
from daenr_train.fit import TrainingConfig
from daenr_train.fit.determinism import deterministic_torch
from daenr_train.fit.losses import data_terms, regularisation_terms, total
from daenr_train.fit.state import FitState
from daenr_train.fit.trainer import Trainer
from daenr_train.models import DaeNr, make_model
from daenr_train.spec import parse_model_name

Loop = Callable[[int], list[float]]
"""Takes this many steps more, and tells the seconds of each."""

MODEL = "cae-fr2"


def loops_of(recording: Recording, config: TrainingConfig) -> dict[str, Loop]:
    """The loops that can run here, each with a model of its own."""
    loops = {"plain loop": _timed(_plain_steps(recording, config)), "fit": _timed(_our_steps(recording, config))}
    if is_installed("neuralpredictors"):
        loops["neuralpredictors"] = _timed(_neuralpredictors_steps(recording, config))
    if is_installed("pytorch_lightning"):
        loops["Lightning"] = _lightning(recording, config)
    return loops


def _timed(steps: Iterator[None]) -> Loop:
    def take(count: int) -> list[float]:
        taken = []
        for _ in range(count):
            start = time.perf_counter()
            next(steps)
            taken.append(time.perf_counter() - start)
        return taken

    return take


def _our_steps(recording: Recording, config: TrainingConfig) -> Iterator[None]:
    trainer = Trainer(FitState(_model(recording, config), config), recording, split(recording))
    while True:
        with deterministic_torch(config.threads):
            trainer.step()
        yield


def _plain_steps(recording: Recording, config: TrainingConfig) -> Iterator[None]:
    model = _model(recording, config)
    optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    loader = _loader(recording, config)
    while True:
        for images, responses in loader:
            optimiser.zero_grad()
            _loss(model, images, responses, config).backward()
            optimiser.step()
            yield


def _neuralpredictors_steps(recording: Recording, config: TrainingConfig) -> Iterator[None]:
    """The trainer of the Sinz lab's repositories: its early stopping, around its loader of several sessions."""
    from neuralpredictors.training import LongCycler, early_stopping

    model = _model(recording, config)
    optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    cycler = LongCycler({recording.region: _loader(recording, config)})
    epochs = early_stopping(model, lambda _: 0.0, interval=10**9, max_iter=10**9)  # validation is not measured
    for _ in epochs:
        for _, (images, responses) in cycler:
            _loss(model, images, responses, config).backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=False)
            yield


def _lightning(recording: Recording, config: TrainingConfig) -> Loop:
    """Lightning's Trainer, without what it writes and shows; a step lasts from one step's end to the next one's."""
    import pytorch_lightning as lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = _model(recording, config)
            self.ends: list[float] = []

        def training_step(self, batch, _):
            return _loss(self.model, *batch, config)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=config.learning_rate)

        def on_train_batch_end(self, *_):
            self.ends.append(time.perf_counter())

    module, loader = Module(), _loader(recording, config)
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }

    def take(count: int) -> list[float]:
        module.ends = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer = lightning.Trainer(max_steps=count + 1, max_epochs=-1, accelerator="cpu", devices=1, **quiet)
            trainer.fit(module, loader)
        return [end - start for start, end in zip(module.ends, module.ends[1:], strict=False)]

    return take


def _model(recording: Recording, config: TrainingConfig) -> DaeNr:
    return make_model(parse_model_name(MODEL, n_neurons=recording.n_neurons), config.seed).train()


def _loader(recording: Recording, config: TrainingConfig) -> DataLoader:
    train = split(recording).train_indices
    pairs = TensorDataset(torch.from_numpy(recording.images[train]), torch.from_numpy(recording.responses[train]))
    return DataLoader(pairs, config.batch_size, shuffle=True, drop_last=True)


def _loss(model: DaeNr, images: torch.Tensor, responses: torch.Tensor, config: TrainingConfig) -> torch.Tensor:
    output = model(images)
    terms = data_terms(output, images, responses) | regularisation_terms(model, output.features, config)
    return total(terms, config)
