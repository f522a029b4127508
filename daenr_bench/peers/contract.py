"""What a peer says of itself besides being a backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from daenr_export.runtime.protocol import Backend


@dataclass(frozen=True)
class About:
    """How a peer is run, and who says that this is the way.

    Attributes:
        settings: in words, for the result.
        documentation: address of the page that recommends them.
    """

    settings: str
    documentation: str


@runtime_checkable
class Peer(Backend, Protocol):
    """A backend that says how it is run."""

    @property
    def about(self) -> About:
        """Settings and documentation."""
        ...

    @property
    def threads(self) -> int | None:
        """Of the processor, that answer a batch; None if it has not opened a graph, or nobody can tell."""
        ...
