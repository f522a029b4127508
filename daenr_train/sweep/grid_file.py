"""Reading a grid that a user wrote down, in TOML or JSON; every fault is one line that names the file and the field."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from daenr_common.errors import SpecError
from daenr_common.strict_json import FieldError, decode
from daenr_train.fit.config import TrainingConfig
from daenr_train.spec import parse_model_name
from daenr_train.sweep.grid import DEFAULT_SEEDS, NEURON_CLASSES, Block, Grid, Neurons

_REQUIRED = ("models", "regions")
_OPTIONAL = ("seeds", "neurons", "settings", "model_settings")
_SETTINGS = {field.name: field.type for field in fields(TrainingConfig) if field.name != "seed"}


def read_grid(path: Path) -> Grid:
    """The grid in a `.toml` or `.json` file (docs/sweeps.md describes it).

    Raises:
        SpecError: the file is missing or cannot be parsed; a field is missing, unknown or of the wrong kind; a model or
            a setting does not exist; something is named twice.
    """
    content = _parsed(path)
    for name in _REQUIRED:
        if name not in content:
            raise SpecError(path, f"has no field {name!r}", f'add it, e.g. {name} = ["{_EXAMPLES[name]}"]')
    for name in content:
        if name not in (*_REQUIRED, *_OPTIONAL):
            raise SpecError(path, f"has a field {name!r}, which is unknown", f"use {', '.join(_REQUIRED + _OPTIONAL)}")
    try:
        return _grid(path, content)
    except FieldError as error:
        raise SpecError(path, str(error), "correct this field") from error


_EXAMPLES = {"models": "cae-fr2", "regions": "3"}


def _grid(path: Path, content: dict[str, Any]) -> Grid:
    models = [parse_model_name(name, n_neurons=1).name for name in _texts(content["models"], "models")]
    regions = _texts(_numbers_as_texts(content["regions"]), "regions")
    neurons = _texts(content.get("neurons", ["all"]), "neurons")
    for name in neurons:
        if name not in NEURON_CLASSES:
            raise SpecError(path, f"neurons names {name!r}", f"use {', '.join(NEURON_CLASSES)}")
    for field, names in (("models", models), ("regions", regions), ("neurons", neurons)):
        _not_twice(path, field, names)
    block = Block(tuple(models), tuple(regions), cast("tuple[Neurons, ...]", tuple(neurons)))
    return Grid(
        (block,),
        _seeds(path, content.get("seeds", DEFAULT_SEEDS)),
        _settings(content.get("settings", {}), "settings"),
        _model_settings(path, content.get("model_settings", {}), models),
    )


def _parsed(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise SpecError(path, f"cannot be read ({error.strerror})", "give a grid's name or a .toml or .json") from error
    except ValueError as error:  # of TOML, JSON or UTF-8
        raise SpecError(path, f"is not valid {path.suffix[1:].upper()} ({error})", "correct the file") from error
    if not isinstance(content, dict):
        raise SpecError(path, "is not an object with fields", "see docs/sweeps.md")
    return content


def _numbers_as_texts(value: Any) -> Any:
    """A region may be written as a number."""
    return [str(item) if type(item) is int else item for item in value] if isinstance(value, list) else value


def _texts(value: Any, field: str) -> list[str]:
    texts = decode(tuple[str, ...], value, field)
    if not texts:
        raise FieldError(field, "is empty")
    return list(texts)


def _seeds(path: Path, value: Any) -> tuple[int, ...]:
    seeds = range(value) if type(value) is int else decode(tuple[int, ...], value, "seeds")
    if not seeds or min(seeds) < 0:
        raise FieldError("seeds", "must be a number ≥ 1 of seeds, or a list of seeds ≥ 0")
    _not_twice(path, "seeds", seeds)
    return tuple(seeds)


def _settings(value: Any, field: str) -> dict[str, Any]:
    settings = decode(dict[str, Any], value, field)
    for name, setting in settings.items():
        if name == "seed":
            raise FieldError(f"{field}.seed", "is not a setting of a grid: write seeds")
        if name not in _SETTINGS:
            raise FieldError(f"{field}.{name}", f"does not exist (known: {', '.join(_SETTINGS)})")
        settings[name] = decode(int if _SETTINGS[name] == "int" else float, setting, f"{field}.{name}")
    TrainingConfig(**settings)  # names what is out of its range
    return settings


def _model_settings(path: Path, value: Any, models: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for given, settings in decode(dict[str, Any], value, "model_settings").items():
        name = parse_model_name(given, n_neurons=1).name
        if name not in models:
            raise SpecError(path, f"model_settings names {name}, which is not among its models", "add it to models")
        found[name] = _settings(settings, f"model_settings.{given}")
    return found


def _not_twice(path: Path, field: str, names: Sequence[object]) -> None:
    for name in names:
        if list(names).count(name) > 1:
            raise SpecError(path, f"{field} names {name} twice", "name it once")
