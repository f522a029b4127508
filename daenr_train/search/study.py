"""One trial after the other: settings from Optuna, a fit, and what the validation images say of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from daenr_common.errors import DaenrError
from daenr_common.extras import require
from daenr_train.data.recording import Recording
from daenr_train.fit.config import TrainingConfig
from daenr_train.fit.fitting import fit_or_go_on
from daenr_train.fit.state import DivergedError
from daenr_train.search.space import TERMS, Objective, Range, is_whole
from daenr_train.spec import ModelSpec

Outcome = Literal["finished", "pruned", "diverged"]

STARTING_TRIALS = 10
"""How many trials are drawn at random before their outcomes guide the next ones, and before any is pruned."""

FIRST_PRUNING = 5
"""Validations that a trial is left alone for."""


@dataclass(frozen=True)
class Trial:
    """A trial that has ended.

    Attributes:
        number: from 0, in the order of their end.
        outcome: `pruned` trials were stopped because they did worse than half of the others at the same step.
        value: of the objective, at the weights that early stopping chose; the last that was seen of a pruned trial, and
            None of a diverged one.
        settings: those that are searched.
        steps: how many the fit took.
        seconds: how long it took; of a trial that was interrupted, since the last resumption.
    """

    number: int
    outcome: Outcome
    value: float | None
    settings: dict[str, float | int]
    steps: int
    seconds: float


def without_test_responses(recording: Recording) -> Recording:
    """The recording with zeros for test responses and no true rates, so that a search cannot see them."""
    hidden = np.zeros_like(recording.test_responses[:1])
    return replace(recording, test_responses=hidden, true_test_rates=None)


class Study:
    """A search in a folder; what has ended is kept in `search.db`, Optuna's own SQLite file.

    The draw of a trial depends on the seed and on the trials that ended before it, so that a search that was stopped
    and resumed tries the same settings as one that was not.

    Args:
        path: the folder.
        recording: without its test responses.
        spec: the model.
        settings: fields of TrainingConfig that all trials share, with the seed.
        ranges: what is searched.
        objective: what is minimised.
    """

    def __init__(
        self,
        path: Path,
        recording: Recording,
        spec: ModelSpec,
        settings: Mapping[str, Any],
        ranges: Mapping[str, Range],
        objective: Objective,
    ) -> None:
        self.recording, self.spec, self.settings, self.ranges = recording, spec, dict(settings), dict(ranges)
        self.term = TERMS[objective]
        self.state_path = path / "fit.state"
        self.optuna = require("optuna", extra="search", purpose="searching settings")
        self._sqlalchemy = require("sqlalchemy", extra="search", purpose="searching settings")
        self.optuna.logging.set_verbosity(self.optuna.logging.WARNING)
        self.file = path / "search.db"
        with self._mapped_errors():
            url = self._sqlalchemy.URL.create("sqlite", database=str(self.file)).render_as_string()
            self._storage = self.optuna.storages.RDBStorage(url)
            self._study = self.optuna.create_study(
                storage=self._storage, study_name="daenr", load_if_exists=True, pruner=self._pruner()
            )

    def close(self) -> None:
        """Let go of the file."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def trials(self) -> list[Trial]:
        """The trials that have ended."""
        states = self.optuna.trial.TrialState
        ended = self._study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))
        return [_trial(number, each) for number, each in enumerate(ended)]

    def run_one(self) -> Trial:
        """Draw settings, fit, and take note of the outcome; goes on with a trial that was interrupted.

        Raises:
            Interrupted: the user stopped the fit; its state is saved.
            DaenrError: the fit cannot go on (the disk is full), or settings are out of their range.
        """
        with self._mapped_errors():
            known = self._take_up_interrupted()
            self._study.sampler = self._sampler(len(self.trials()))
            trial = self._study.ask()
            drawn = {name: _draw(trial, name, bounds) for name, bounds in self.ranges.items()}
            self._fit(trial, TrainingConfig(**(self.settings | drawn)), known)
            self.state_path.unlink(missing_ok=True)
            return self.trials()[-1]

    def _sampler(self, ended: int) -> Any:
        seed = np.random.SeedSequence([int(self.settings["seed"]), ended]).generate_state(1)[0]
        return self.optuna.samplers.TPESampler(seed=int(seed), n_startup_trials=STARTING_TRIALS)

    def _pruner(self) -> Any:
        warm_up = FIRST_PRUNING * TrainingConfig(**self.settings).validate_every
        return self.optuna.pruners.MedianPruner(n_startup_trials=STARTING_TRIALS, n_warmup_steps=warm_up)

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            yield
        except (self._sqlalchemy.exc.SQLAlchemyError, self.optuna.exceptions.OptunaError) as error:
            cause = error if isinstance(error, self._sqlalchemy.exc.SQLAlchemyError) else error.__cause__ or error
            problem = f"cannot be used ({getattr(cause, 'orig', cause)})"
            raise DaenrError(self.file, problem, "make room or restore it, or choose another --output") from error

    def _take_up_interrupted(self) -> dict[int, float]:
        """Queue the settings of a trial that did not end; returns what its validations said."""
        states = self.optuna.trial.TrialState
        known: dict[int, float] = {}
        for left in self._study.get_trials(states=(states.RUNNING, states.WAITING)):
            if left.state is states.RUNNING:
                self._study.tell(left.number, state=states.FAIL)
                if set(left.params) == set(self.ranges):
                    self._study.enqueue_trial(left.params)
                    known = left.intermediate_values
        return known

    def _fit(self, trial: Any, config: TrainingConfig, known: dict[int, float]) -> None:
        watch = _Watch(trial, self.term, known)
        states, start = self.optuna.trial.TrialState, time.monotonic()
        outcome: Outcome = "finished"
        value: float | None = None
        try:
            checkpoint = fit_or_go_on(self.recording, self.spec, config, self.state_path, watch.on_step)
            value = watch.values[checkpoint.metrics["best_step"]]
        except _Pruned:
            outcome = "pruned"
        except DivergedError:
            outcome = "diverged"
        trial.set_user_attr("outcome", outcome)
        trial.set_user_attr("steps", watch.steps)
        trial.set_user_attr("seconds", round(time.monotonic() - start, 3))
        self._study.tell(trial, value, state=states.PRUNED if value is None else states.COMPLETE)


class _Pruned(Exception):  # noqa: N818 (it is not an error)
    """This trial is not worth its time."""


class _Watch:
    """Follows a fit's validations, and tells Optuna of them; knows those from before an interruption."""

    def __init__(self, trial: Any, term: str, known: dict[int, float]) -> None:
        self.trial, self.term, self.known = trial, term, known
        self.values: dict[int, float] = {}
        self.steps = 0

    def on_step(self, step: int, terms: dict[str, float]) -> None:
        if self.steps == 0:
            for before, value in sorted(self.known.items()):
                if before < step:
                    self._note(before, value)
        self.steps = step
        if self.term in terms and np.isfinite(terms[self.term]):
            self._note(step, terms[self.term])
            if self.trial.should_prune():
                raise _Pruned

    def _note(self, step: int, value: float) -> None:
        self.values[step] = value
        self.trial.report(value, step)


def _draw(trial: Any, name: str, bounds: Range) -> float | int:
    log = bounds.low > 0
    if is_whole(name):
        return int(trial.suggest_int(name, int(bounds.low), int(bounds.high), log=log))
    return float(trial.suggest_float(name, bounds.low, bounds.high, log=log))


def _trial(number: int, frozen: Any) -> Trial:
    attributes = frozen.user_attrs
    outcome: Outcome = attributes["outcome"]
    value = None if outcome == "diverged" else frozen.value
    return Trial(number, outcome, value, dict(frozen.params), attributes["steps"], attributes["seconds"])
