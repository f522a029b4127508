"""What every transport has in common: it is closed, by hand or at the end of a `with`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Closing(ABC):
    """Something to close; a context manager."""

    @abstractmethod
    def close(self) -> None:
        """Free what it holds and make a blocked call return, from any thread. Closing twice is allowed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()
