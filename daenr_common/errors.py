"""The errors that daenr raises on purpose, as one tree.

    DaenrError                      unusable input or an absent tool: exit code 2, one line, no traceback
    ├── SpecError                   a model name or a setting that does not exist
    ├── RecordingError              images or responses that cannot be learned from
    ├── CheckpointError             a missing, truncated or foreign checkpoint
    ├── BundleError                 a bundle that is incomplete, edited or of another version
    ├── LogError                    a frame log that is missing, foreign or of another version
    ├── TransportError              a source of frames or a way out for answers that cannot be opened or broke off
    ├── ImageError (ValueError)     an array given to a model has the wrong shape, type or range
    ├── OutputExistsError           the output is there already and --force was not given
    ├── ExportError                 a graph or an engine could not be made
    └── BackendUnavailableError     a backend that was asked for cannot run here
        ├── UnknownBackendError     because there is no such backend
        └── MissingExtraError       because its package is not installed

Each error says three things: the subject (usually a file), what is wrong with it, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence


class DaenrError(Exception):
    """Base of all errors that a user can cause and mend.

    Args:
        subject: the file, field or argument that is at fault.
        problem: what is wrong with it: what was found, and what was expected.
        remedy: what the user can do about it.
    """

    def __init__(self, subject: object, problem: str, remedy: str) -> None:
        self.subject = str(subject)
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{self.subject}: {problem}; {remedy}")

    def __str__(self) -> str:
        """The error as exactly one line, whatever the texts of foreign libraries brought in."""
        return " ".join(super().__str__().split())

    def __reduce__(self) -> tuple[type[DaenrError], tuple[str, str, str]]:
        """Three arguments, not the one line, so that the error crosses process boundaries."""
        return type(self), (self.subject, self.problem, self.remedy)


class SpecError(DaenrError):
    """A model name or a setting that does not exist."""


class RecordingError(DaenrError):
    """Images or responses that cannot be learned from."""


class CheckpointError(DaenrError):
    """A missing, truncated or foreign checkpoint."""


class BundleError(DaenrError):
    """A bundle that is incomplete, edited or of another schema version."""


class LogError(DaenrError):
    """A frame log that is missing, foreign or of another version."""


class TransportError(DaenrError):
    """A source of frames or a way out for answers that cannot be opened, was closed or broke off."""


class ImageError(DaenrError, ValueError):
    """An array given to a model has the wrong shape, type or range."""


class OutputExistsError(DaenrError):
    """The output is there already and was not to be replaced."""

    def __init__(
        self,
        subject: object,
        problem: str = "exists already",
        remedy: str = "choose another output or pass --force to replace it",
    ) -> None:
        super().__init__(subject, problem, remedy)


class ExportError(DaenrError):
    """A graph or an engine could not be made."""


class BackendUnavailableError(DaenrError):
    """A backend or a TensorRT flavour that was asked for cannot run here."""


class UnknownBackendError(BackendUnavailableError):
    """A name that no backend has."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        import difflib  # a millisecond, and only for a name that is wrong

        self.name, self.known = name, known
        near = difflib.get_close_matches(name, known, 1, cutoff=0.5) or ["auto"]
        problem = f"is not known; the backends are {', '.join(known)}"
        super().__init__(f"backend {name!r}", problem, f"did you mean {near[0]}?")

    def __reduce__(self) -> tuple[type[DaenrError], tuple[str, Sequence[str]]]:  # type: ignore[override]
        """The two arguments that it is made of."""
        return type(self), (self.name, self.known)


class MissingExtraError(BackendUnavailableError):
    """A package is needed that only an extra of the distribution installs."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.package, self.extra, self.purpose = package, extra, purpose
        super().__init__(package, f"is needed for {purpose} and is not installed", f"pip install 'daenr[{extra}]'")

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str, str]]:
        return type(self), (self.package, self.extra, self.purpose)


class Interrupted(Exception):  # noqa: N818 (it is not an error)
    """A long computation was stopped by Ctrl-C or SIGTERM; its message says how to continue."""
