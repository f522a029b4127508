"""Records to JSON and back, strictly: a missing, unknown or mistyped field is an error that names it.

A record is a frozen dataclass or a named tuple; of a named tuple the class is made in a fifth of the time, which a rig
waits for when it starts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache, partial
from types import UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")

Decoder = Callable[[Any, str], Any]
"""Builds a value from parsed JSON and the dotted path of it, for messages."""


class FieldError(Exception):
    """A field of a document is wrong: `field` is its dotted path, `problem` what was found and expected."""

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        super().__init__(f"{field} {problem}")


def packaged(package: str | None, name: str) -> dict[str, Any]:
    """A JSON document that is in a package, such as a JSON Schema.

    Args:
        package: its dotted name, as `__package__` gives it.
        name: of the file.
    """
    from importlib.resources import files  # a millisecond, and what runs a bundle reads no such document

    document: dict[str, Any] = json.loads((files(package or "") / name).read_text("utf-8"))
    return document


def encode(value: Any) -> Any:
    """Turn records, mappings and tuples into what `json.dumps` writes; other values are passed through."""
    if _is_record(type(value)):
        return {name: encode(getattr(value, name)) for name in _names(value)}
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    return value


def decode(kind: type[T], value: Any, where: str = "") -> T:
    """Build a value of `kind` from parsed JSON.

    Args:
        kind: a record, `str`, `int`, `float`, `bool`, `Any` (any JSON value), or `tuple[T, ...]`, `dict[str, T]`,
            `T | None` of these.
        value: what `json.loads` returned for it.
        where: dotted path of the value, for messages.

    Raises:
        FieldError: the value, or one inside it, is not of its kind.
    """
    return cast("T", _decoder(cast("Hashable", kind))(value, where))


@cache
def _decoder(kind: Any) -> Decoder:
    """What builds values of a kind, made once: a manifest has hundreds of values of a dozen kinds."""
    if kind is Any:
        return _plain_json
    if kind is float:
        return _number
    if _is_record(kind):
        return partial(_decode_record, kind, {name: _decoder(hint) for name, hint in get_type_hints(kind).items()})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return partial(_decode_optional, _decoder(arguments[0]))
    if origin is tuple:
        return partial(_decode_tuple, _decoder(arguments[0]))
    if origin is dict:
        return partial(_decode_dict, _decoder(arguments[1]))
    return partial(_expect, kind)


def _is_record(kind: Any) -> bool:
    return hasattr(kind, "_fields") or hasattr(kind, "__dataclass_fields__")


def _names(record: Any) -> Sequence[str]:
    if named := getattr(record, "_fields", ()):
        return tuple(named)
    from dataclasses import fields  # not where a rig starts: a manifest is made of named tuples

    return [field.name for field in fields(record)]


def _decode_record(kind: type[Any], decoders: Mapping[str, Decoder], value: Any, where: str) -> Any:
    given = _mapping(value, where)
    for name in given:
        if name not in decoders:
            raise FieldError(_join(where, name), f"is unknown (known here: {', '.join(sorted(decoders))})")
    for name in decoders:
        if name not in given:
            raise FieldError(_join(where, name), "is missing")
    return kind(**{name: decoder(given[name], _join(where, name)) for name, decoder in decoders.items()})


def _decode_optional(decoder: Decoder, value: Any, where: str) -> Any:
    return None if value is None else decoder(value, where)


def _decode_tuple(decoder: Decoder, value: Any, where: str) -> tuple[Any, ...]:
    return tuple(decoder(item, f"{where}[{index}]") for index, item in enumerate(_expect(list, value, where)))


def _decode_dict(decoder: Decoder, value: Any, where: str) -> dict[str, Any]:
    return {key: decoder(item, _join(where, key)) for key, item in _mapping(value, where).items()}


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _describe(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _expect(kind: type[Any], value: Any, where: str) -> Any:
    # type(), not isinstance(): True is an int to Python, and a number is not a truth value to a reader of JSON.
    if type(value) is not kind:
        noun = {str: "a text", int: "a whole number", bool: "true or false", list: "a list", dict: "an object"}[kind]
        raise FieldError(where or "the document", f"is {_describe(value)}, expected {noun}")
    if kind is str and not _is_unicode(value):
        raise FieldError(where or "the document", f"is {_describe(value)}, which is half of a character")
    return value


def _is_unicode(text: str) -> bool:
    r"""Whether a text can be written: JSON allows an escape like \ud800 without its other half."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _mapping(value: Any, where: str) -> dict[str, Any]:
    mapping: dict[str, Any] = _expect(dict, value, where)
    for key in mapping:
        if type(key) is not str or not key.isascii():
            _expect(str, key, f"a key of {where or 'the document'}")
    return mapping


def _number(value: Any, where: str) -> float:
    if type(value) not in (int, float):
        raise FieldError(where, f"is {_describe(value)}, expected a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise FieldError(where, f"is {_describe(value)}, expected a finite number")
    return number


def _plain_json(value: Any, where: str) -> Any:
    """Check a value whose shape is free: only what JSON has, no NaN or infinity, which JSON has not."""
    if value is None or type(value) in (bool, int):
        return value
    if type(value) is str:
        return _expect(str, value, where)
    if type(value) is float:
        return _number(value, where)
    if type(value) is list:
        return [_plain_json(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if type(value) is dict:
        return {key: _plain_json(item, _join(where, key)) for key, item in _mapping(value, where).items()}
    raise FieldError(where, f"is a {type(value).__name__}, which JSON does not have")
