"""Who takes part: PyTorch where there is a checkpoint, then the backends that were named, or all that can run here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daenr_bench import eager
from daenr_bench.result import Skip
from daenr_common.errors import BackendUnavailableError
from daenr_export.bundle import Bundle
from daenr_export.runtime import registry
from daenr_export.runtime.protocol import Backend


def choose(
    bundle: Bundle, wanted: Sequence[str | Backend] | None, checkpoint: Path | None
) -> tuple[list[Backend], list[Skip]]:
    """The backends that are measured, and those that cannot run here with the reason.

    Args:
        bundle: that is measured.
        wanted: names, or backends with options of their own; None for all that are known.
        checkpoint: what PyTorch runs, if it is to take part.

    Raises:
        CheckpointError: the bundle was not made from this checkpoint.
        BackendUnavailableError: a backend was named and is not known or cannot run here.
    """
    must_run = dict.fromkeys(wanted or ())
    peer, skipped = _peer(bundle, checkpoint, must_run=eager.NAME in must_run)
    must_run.pop(eager.NAME, None)
    named = [registry.pick(backend) if isinstance(backend, str) else backend for backend in must_run]
    if wanted is not None:
        return [*peer, *named], skipped
    statuses = registry.backends()
    skipped += [Skip(status.name, None, status.reason) for status in statuses if not status.available]
    return [*peer, *(registry.pick(status.name) for status in statuses if status.available)], skipped


def make(name: str, checkpoint: Path | None) -> Backend:
    """The backend of a name, as `choose` makes it; in a new process it is the same again.

    Raises:
        BackendUnavailableError: it is not known or cannot run here.
    """
    return eager.EagerBackend(checkpoint) if name == eager.NAME and checkpoint is not None else registry.pick(name)


def _peer(bundle: Bundle, checkpoint: Path | None, *, must_run: bool) -> tuple[list[Backend], list[Skip]]:
    subject = f"backend {eager.NAME}"
    if checkpoint is None:
        if must_run:
            raise BackendUnavailableError(subject, "runs a checkpoint, and none is given", "add --checkpoint")
        return [], []
    eager.check_checkpoint(checkpoint, bundle.manifest)
    backend = eager.EagerBackend(checkpoint)
    reason = backend.why_unavailable()
    if reason is None:
        return [backend], []
    if must_run:
        raise BackendUnavailableError(subject, f"cannot run here: {reason}", "or leave it out")
    return [], [Skip(backend.name, None, reason)]
