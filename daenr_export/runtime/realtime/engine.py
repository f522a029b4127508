"""One run of a bound graph, whose failures are daenr's own errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from daenr_common.errors import DaenrError


@final
class Engine:
    """Runs a bound graph on the input that it has.

    Args:
        subject: who runs, for messages.
        run: of a `daenr_export.runtime.protocol.Bound`.

    Attributes:
        works: whether the last run came to its end.
    """

    def __init__(self, subject: str, run: Callable[[], object]) -> None:
        self.works = True
        self._subject = subject
        self._run = run

    def __call__(self) -> None:
        """Run once.

        Raises:
            DaenrError: the backend failed.
        """
        self.works = False
        try:
            self._run()
        except DaenrError:
            raise
        except Exception as error:
            problem = f"failed on a frame ({type(error).__name__}: {error})"
            raise DaenrError(self._subject, problem, "open the session again, or use another backend") from error
        self.works = True
