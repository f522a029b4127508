"""Why a backend cannot run: everything that is missing, and what to do about it, in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from daenr_common.errors import BackendUnavailableError, MissingExtraError
from daenr_common.extras import is_installed
from daenr_export.runtime.protocol import Backend


def why_not(backend: Backend) -> str | None:
    """What a backend says of itself; also where it comes from another package and fails to say it."""
    try:
        reason = backend.why_unavailable()
    except BackendUnavailableError as error:
        return reason_of(backend.name, error)
    except Exception as error:
        return one_line(f"it fails to say whether it can run ({_described(error)}); update or remove its package")
    return None if reason is None else one_line(reason)


def reason_of(name: str, error: BackendUnavailableError) -> str:
    """An error as the reason that is shown beside a backend's name, which it does not repeat."""
    return one_line(f"{_problem(name, error)}; {error.remedy}")


def find_all(name: str, finders: Iterable[Callable[[], Any]]) -> list[Any]:
    """Find all that a backend needs.

    Args:
        name: of the backend.
        finders: each returns something that is needed, or raises BackendUnavailableError.

    Raises:
        BackendUnavailableError: something is missing; all of it is named, so that nobody installs things one by one.
    """
    found: list[Any] = []
    missing: list[BackendUnavailableError] = []
    for find in finders:
        try:
            found.append(find())
        except BackendUnavailableError as error:
            missing.append(error)
    if len(missing) > 1:
        problems = dict.fromkeys(_problem(name, error) for error in missing)
        remedies = dict.fromkeys(error.remedy for error in missing)
        raise BackendUnavailableError(name, ", ".join(problems), " and ".join(remedies)) from missing[0]
    if missing:
        raise missing[0]
    return found


def check_installed(name: str, module: str, extra: str, package: str | None = None) -> None:
    """Raise MissingExtraError if a backend's module is not installed. Imports nothing: that can take seconds.

    Args:
        name: of the backend.
        module: dotted name.
        extra: of the distribution, installs it.
        package: what brings the module, where that is not its first name.
    """
    if not is_installed(module):
        raise MissingExtraError(package or module.partition(".")[0], extra, f"the backend {name}")


def one_line(text: object) -> str:
    """A text without the line breaks that other libraries bring in."""
    return " ".join(str(text).split())


def _problem(name: str, error: BackendUnavailableError) -> str:
    if isinstance(error, MissingExtraError):
        return f"{error.package} is not installed"
    return error.problem if error.subject in (name, f"backend {name}") else f"{error.subject} {error.problem}"


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
