"""What `daenr-train search` does, from names and paths to the best settings on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from daenr_common.errors import DaenrError, SpecError
from daenr_common.extras import require
from daenr_common.strict_json import encode
from daenr_train.data import open_recording
from daenr_train.data.recording import Recording
from daenr_train.fit.config import TrainingConfig
from daenr_train.fit.recipes import recipe_of
from daenr_train.search.space import Objective, Range, chosen_objective, default_ranges, parse_ranges
from daenr_train.search.study import Study, Trial, without_test_responses
from daenr_train.search.table import best_of, write_best, write_trials
from daenr_train.spec import ModelSpec, parse_model_name
from daenr_train.sweep.code_version import code_version
from daenr_train.sweep.folder import claimed, read_json, write_json

KIND, SCHEMA_VERSION = "daenr-search", 1
PLAN = "search.json"


@dataclass(frozen=True)
class SearchRequest:
    """What to search, on which data, and where to keep it.

    Attributes:
        model_name: one of the models.
        data: the recording.
        region: which, where the data hold several.
        n_trials: how many trials the folder shall hold in the end.
        output: the search's folder.
        objective: what is minimised; None for what the model does first.
        ranges: `name=low:high`; empty for those that matter to the model.
        resume: go on with what the folder holds.
    """

    model_name: str
    data: Path
    region: str | None
    n_trials: int
    output: Path
    objective: Objective | None = None
    ranges: tuple[str, ...] = ()
    resume: bool = False


@dataclass(frozen=True)
class SearchResult:
    """What a search came to: its trials, the best of them, and what was minimised."""

    trials: list[Trial]
    best: Trial | None
    objective: Objective
    searched: tuple[str, ...]


def run_search(request: SearchRequest, given: Mapping[str, Any]) -> SearchResult:
    """Fit trials until there are as many as asked for; only training and validation images are looked at.

    Args:
        request: what, on which data, where.
        given: fields of TrainingConfig that all trials share.

    Raises:
        DaenrError: an input cannot be used, the folder holds something else, or it cannot be written.
        Interrupted: the user stopped a fit; its state is saved.
    """
    require("optuna", extra="search", purpose="searching settings")
    name = parse_model_name(request.model_name, n_neurons=1).name
    settings = {"seed": 0} | recipe_of(name) | dict(given)
    ranges = _ranges(request, parse_model_name(name, n_neurons=1), given)
    for bound in ("low", "high"):  # what no trial could be fitted with is refused before the first is
        TrainingConfig(**(settings | {setting: getattr(bounds, bound) for setting, bounds in ranges.items()}))
    recording = without_test_responses(open_recording(request.data, request.region))
    spec = parse_model_name(name, n_neurons=recording.n_neurons)
    objective = chosen_objective(spec, request.objective)
    plan = _plan(recording, spec, settings, ranges, objective)
    with (
        _open_folder(request.output, plan, resume=request.resume),
        closing(Study(request.output, recording, spec, settings, ranges, objective)) as study,
    ):
        trials = _trials(study, request, tuple(ranges))
        best = best_of(trials)
        if best is not None:
            note = f"best of {len(trials)} trials by the {objective} of the validation images: {best.value:.6g}"
            found = {name: value for name, value in (settings | best.settings).items() if name != "seed"}
            write_best(request.output, name, recording.region, found, note)
    return SearchResult(trials, best, objective, tuple(ranges))


def _trials(study: Study, request: SearchRequest, searched: tuple[str, ...]) -> list[Trial]:
    trials = study.trials()
    write_trials(request.output, trials, searched)
    with tqdm(total=request.n_trials, initial=len(trials), desc="trials", unit="trial", disable=None) as bar:
        while len(trials) < request.n_trials:
            trials.append(study.run_one())
            write_trials(request.output, trials, searched)
            best = best_of(trials)
            bar.set_postfix_str("" if best is None else f"best {best.value:.4g}", refresh=False)
            bar.update()
    return trials


def _ranges(request: SearchRequest, spec: ModelSpec, given: Mapping[str, Any]) -> dict[str, Range]:
    """What is searched: what was asked for, else what matters to the model and has not been given a value."""
    asked = parse_ranges(request.ranges)
    if both := sorted(set(asked) & set(given)):
        raise SpecError(
            f"setting {both[0]!r}", "is both given and searched", f"leave out its value or --search {both[0]}"
        )
    ranges = asked or {name: bounds for name, bounds in default_ranges(spec).items() if name not in given}
    if not ranges:
        problem = "has no setting left that is searched unless it is named"
        raise SpecError(f"model {spec.name!r}", problem, "add e.g. --search learning_rate=0.0001:0.01")
    return ranges


def _plan(
    recording: Recording, spec: ModelSpec, settings: dict[str, Any], ranges: Mapping[str, Range], objective: Objective
) -> dict[str, Any]:
    return {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "model": spec.name,
        "recording": recording.fingerprint,
        "region": recording.region,
        "objective": objective,
        "settings": TrainingConfig(**settings).to_json(),
        "ranges": encode(ranges),
        "code": code_version(),
    }


@contextmanager
def _open_folder(path: Path, plan: dict[str, Any], *, resume: bool) -> Iterator[None]:
    """Hold the folder of a search, which says in search.json what it is a search of."""
    with claimed(path, PLAN, "search", resume=resume) as holds_one:
        if holds_one:
            _require_same(path / PLAN, plan)
        else:
            write_json(path / PLAN, plan)
        yield


def _require_same(file: Path, plan: dict[str, Any]) -> None:
    held = read_json(file)
    different = sorted(name for name, value in plan.items() if held.get(name) != value)
    if different:
        problem = f"is a search with other {', '.join(different)}"
        raise DaenrError(file, problem, "use the same, or another --output")
