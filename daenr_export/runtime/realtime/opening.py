"""Opening a session for real time: buffers, settings and warm-up in the right order, and all undone in the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from daenr_common.errors import DaenrError
from daenr_export.bundle import Bundle
from daenr_export.bundle.golden import Golden, in_batches
from daenr_export.runtime.protocol import Backend
from daenr_export.runtime.realtime import forks
from daenr_export.runtime.realtime.process_settings import frozen_gc, locked_memory
from daenr_export.runtime.realtime.session import RealtimeSession
from daenr_export.runtime.realtime.thread_settings import pin, set_priority
from daenr_export.runtime.realtime.warm_up import warm_up


@dataclass(frozen=True)
class RealtimeOptions:
    """How a session is to answer (see `Model.realtime`)."""

    graph: str
    batch: int
    keep_warm: bool
    cpu: int | None
    priority: str | None
    lock_memory: bool
    freeze_gc: bool


@contextmanager
def open_realtime(bundle: Bundle, backend: Backend, options: RealtimeOptions) -> Iterator[RealtimeSession]:
    """Open a graph for the calling thread, with a session of the backend that is its own.

    The order matters: threads that the backend starts must not inherit core and priority, the warm-up must run under
    both, and garbage is frozen last, when all that stays has been made.

    Raises:
        DaenrError: a setting is not known or not allowed here, or the backend failed; nothing stays changed.
    """
    graph = bundle.graph(options.graph)
    low, high = graph.spec.batch.min, graph.spec.batch.max
    if not low <= options.batch <= high:
        problem = f"is not a size that the bundle was made for, which are {low} to {high}"
        raise DaenrError(f"batch={options.batch}", problem, "choose one of these, or export with another batch range")
    golden = Golden(bundle.golden(), bundle.path / bundle.manifest.golden.file)
    inputs = tuple(in_batches(golden.inputs(graph.spec), options.batch))
    with ExitStack() as thread, ExitStack() as process, ExitStack() as engine:
        bound = engine.enter_context(backend.open(graph)).bind(options.batch)
        if options.cpu is not None:
            pin(options.cpu, thread)
        if options.priority is not None:
            set_priority(options.priority, thread)
        if options.lock_memory:
            process.enter_context(locked_memory.held())
        report = warm_up(bound, inputs)
        if options.freeze_gc:
            process.enter_context(frozen_gc.held())
        session = RealtimeSession(
            graph.spec,
            bound,
            backend=backend.name,
            bundle_sha256=bundle.manifest.sha256,
            keep_warm=options.keep_warm,
            warm_up_report=report,
        )
        forks.watch(session, process, thread, engine)
        try:
            yield session
        finally:
            session.close()
