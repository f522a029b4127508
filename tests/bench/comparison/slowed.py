"""A real engine that is slower in one of two bundles: it works, and then waits busily for a share of what it took."""

from __future__ import annotations

import time
from dataclasses import dataclass

from daenr_export.runtime.protocol import Backend, Bound, GraphSource, Session
from daenr_export.specs import Array


@dataclass(frozen=True)
class SlowedBackend:
    """Runs graphs on another backend; those of one bundle take longer by a share.

    Attributes:
        inner: runs.
        bundle: name of the slow bundle's folder.
        share: e.g. 0.15.
    """

    inner: Backend
    bundle: str
    share: float

    @property
    def name(self) -> str:
        return self.inner.name

    def why_unavailable(self) -> str | None:
        return self.inner.why_unavailable()

    def open(self, graph: GraphSource) -> Session:
        session = self.inner.open(graph)
        assert graph.cache_folder is not None
        is_slow = graph.cache_folder.name == f"{self.bundle}.cache"
        return SlowedSession(session, self.share if is_slow else 0.0)


class SlowedSession:
    """Both bundles' calls go through the same lines, so that only the waiting differs."""

    def __init__(self, inner: Session, share: float) -> None:
        self._inner, self._share = inner, share
        self.spec, self.close = inner.spec, inner.close

    def run(self, batch: Array) -> tuple[Array, ...]:
        return self._inner.run(batch)

    def bind(self, batch: int) -> Bound:
        bound, share, read = self._inner.bind(batch), self._share, time.perf_counter_ns

        def run() -> None:
            start_ns = read()
            bound.run()
            until_ns = read()
            until_ns += int(share * (until_ns - start_ns))
            while read() < until_ns:
                pass

        return Bound(bound.input, bound.outputs, run)

    def __enter__(self) -> SlowedSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
