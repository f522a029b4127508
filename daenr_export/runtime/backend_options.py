"""Backends with options in their name, `onnxruntime:threads=2,spinning=true`: for command lines and files."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, final

from daenr_common.errors import BackendUnavailableError
from daenr_export.runtime.protocol import Backend, GraphSource, Session

_WORDS = {"true": True, "false": False}


@final
class ConfiguredBackend:
    """A backend that goes by its name with options (see `daenr_export.runtime.protocol.Backend`).

    Args:
        name: with the options.
        backend: made with them.
    """

    def __init__(self, name: str, backend: Backend) -> None:
        self._name = name
        self._backend = backend

    @property
    def name(self) -> str:
        """The name a user asks for."""
        return self._name

    def why_unavailable(self) -> str | None:
        """As the backend says it."""
        return self._backend.why_unavailable()

    def open(self, graph: GraphSource) -> Session:
        """Open a graph. Raises as the backend does."""
        return self._backend.open(graph)


def split(name: str) -> tuple[str, dict[str, int | bool]]:
    """A name into the backend's and its options.

    Raises:
        BackendUnavailableError: an option is not of the form `name=number`, `name=true` or `name=false`.
    """
    bare, _, text = name.partition(":")
    options: dict[str, int | bool] = {}
    for item in filter(None, text.split(",")):
        option, _, value = item.partition("=")
        if not option.isidentifier() or not (value.isdecimal() or value in _WORDS):
            remedy = "write e.g. onnxruntime:threads=2,spinning=true"
            raise BackendUnavailableError(f"backend {name}", f"has the option {item!r}, which cannot be read", remedy)
        options[option] = _WORDS[value] if value in _WORDS else int(value)
    return bare, options


def options_of(maker: Callable[..., object]) -> tuple[str, ...]:
    """The options that a backend can be given in its name: its keyword arguments that are numbers or yes and no."""
    parameters = inspect.signature(maker).parameters.values()
    return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY and isinstance(p.default, int))


def configure(name: str, maker: Callable[..., Any], options: Mapping[str, int | bool]) -> ConfiguredBackend:
    """Make a backend with options.

    Args:
        name: with the options.
        maker: of the backend.
        options: by name.

    Raises:
        BackendUnavailableError: it has no such option, or does not take the value.
    """
    known = options_of(maker)
    for option in options:
        if option not in known:
            has = f"only {', '.join(known)}" if known else "none at all"
            raise BackendUnavailableError(f"backend {name}", f"has no option {option}, {has}", "leave it out")
    try:
        return ConfiguredBackend(name, maker(**options))
    except (TypeError, ValueError) as error:
        raise BackendUnavailableError(
            f"backend {name}", f"does not take these options ({error})", "see its documentation"
        ) from error
