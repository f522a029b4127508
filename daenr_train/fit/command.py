"""What `daenr-train fit` does, from names and paths to a scored checkpoint on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from daenr_common.errors import DaenrError, OutputExistsError, SpecError
from daenr_common.extras import require
from daenr_train.checkpoint import Checkpoint, save_checkpoint
from daenr_train.data import open_recording
from daenr_train.evaluate import evaluate
from daenr_train.fit.config import TrainingConfig
from daenr_train.fit.fitting import OnStep, fit
from daenr_train.fit.recipes import recipe_of
from daenr_train.spec import parse_model_name

REFRESH_EVERY = 10
"""Steps between two refreshes of the progress bar's numbers."""


@dataclass(frozen=True)
class FitRequest:
    """What to fit, to which data, and where to put it."""

    model_name: str
    data: Path
    region: str | None
    output: Path
    resume: bool = False
    force: bool = False
    tensorboard: Path | None = None

    @property
    def state_path(self) -> Path:
        """Where the state of an interrupted fit is kept: beside the output."""
        return self.output.with_name(self.output.name + ".state")


def run_fit(request: FitRequest, options: dict[str, Any], settings: Sequence[str] = ()) -> Checkpoint:
    """Fit, score on the test images, save.

    Args:
        request: what, from what, to where.
        options: fields of TrainingConfig that were given.
        settings: further fields as `name=value`.

    Raises:
        DaenrError: any of the inputs cannot be used, or the output cannot be written.
        Interrupted: the user stopped the fit; its state is in `request.state_path`.
    """
    # the name is checked before the recording is read, and completed by the recording
    config = TrainingConfig(**(recipe_of(request.model_name) | options | parse_settings(settings)))
    if request.state_path.exists() and not (request.resume or request.force):
        problem = "holds an interrupted fit, which this one would replace"
        raise OutputExistsError(request.state_path, problem, "pass --resume to go on with it, or --force")
    recording = open_recording(request.data, request.region)
    spec = parse_model_name(request.model_name, n_neurons=recording.n_neurons)
    with _reporting(request, config) as on_step:
        checkpoint = fit(recording, spec, config, state_path=request.state_path, resume=request.resume, on_step=on_step)
    scores = evaluate(checkpoint, recording)
    checkpoint = replace(checkpoint, metrics=checkpoint.metrics | scores.summary)
    save_checkpoint(checkpoint, request.output)
    request.state_path.unlink(missing_ok=True)
    return checkpoint


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Fields of TrainingConfig from `name=value`.

    Raises:
        SpecError: a setting has no value, does not exist, or is no number.
    """
    kinds = {field.name: int if field.type == "int" else float for field in fields(TrainingConfig)}
    parsed: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise SpecError(f"setting {name!r}", "has no value", "write --set NAME=VALUE")
        if name not in kinds:
            raise SpecError(f"setting {name!r}", "does not exist", f"use one of {', '.join(kinds)}")
        try:
            parsed[name] = kinds[name](value)
        except ValueError as error:
            raise SpecError(f"setting {name!r}", f"is {value!r}, not a number", "write NAME=VALUE") from error
    return parsed


@contextmanager
def _reporting(request: FitRequest, config: TrainingConfig) -> Iterator[OnStep]:
    """A progress bar with the loss terms where standard error is a terminal, and TensorBoard logs where asked for."""
    writer = _tensorboard_writer(request.tensorboard) if request.tensorboard else None
    with tqdm(total=config.max_steps, desc=request.model_name, unit="step", disable=None) as bar:

        def on_step(step: int, terms: dict[str, float]) -> None:
            bar.update(step - bar.n)
            if step % REFRESH_EVERY == 0:
                bar.set_postfix({name: f"{value:.3g}" for name, value in terms.items()}, refresh=False)
            if writer is not None:
                for name, value in terms.items():
                    writer.add_scalar(name if "/" in name else f"train/{name}", value, step)

        try:
            yield on_step
        finally:
            if writer is not None:
                writer.close()


def _tensorboard_writer(folder: Path) -> Any:
    require("tensorboard", extra="tensorboard", purpose="--tensorboard")
    if folder.exists() and not folder.is_dir():
        raise DaenrError(folder, "is not a folder", "give a folder for --tensorboard")
    return require("torch.utils.tensorboard", extra="train", purpose="--tensorboard").SummaryWriter(str(folder))
