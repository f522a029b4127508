"""Who takes part: the backends of a bundle and its peers, those that were named or all that can run here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daenr_bench.cells import Cell
from daenr_bench.peers.checkpoint import check_checkpoint
from daenr_bench.peers.contract import Peer
from daenr_bench.peers.registry import PEERS, TORCH
from daenr_bench.peers.registry import make as make_peer
from daenr_bench.result import Entrant, Skip
from daenr_common.errors import BackendUnavailableError, UnknownBackendError
from daenr_export.bundle import Bundle
from daenr_export.runtime import registry
from daenr_export.runtime.availability import reason_of, why_not
from daenr_export.runtime.protocol import Backend


def choose(
    bundle: Bundle, wanted: Sequence[str | Backend] | None, checkpoint: Path | None, *, all_peers: bool = False
) -> tuple[list[Backend], list[Skip]]:
    """The backends that are measured, in their order, and those that cannot run here with the reason.

    Args:
        bundle: that is measured.
        wanted: names of backends and peers, or backends with options of their own; None for all backends.
        checkpoint: what peers run that need one; if given, PyTorch eager takes part.
        all_peers: whether every peer takes part that can run here.

    Raises:
        CheckpointError: the bundle was not made from this checkpoint.
        BackendUnavailableError: one was named and is not known or cannot run here.
    """
    if checkpoint is not None:
        check_checkpoint(checkpoint, bundle.manifest)
    named = list(dict.fromkeys(wanted or ()))
    peers, skipped = _peers(named, checkpoint, all_peers=all_peers)
    backends, cannot_run = _backends(None if wanted is None else [each for each in named if each not in PEERS])
    first = [peer for peer in peers if peer.name == TORCH]
    return [*first, *backends, *(peer for peer in peers if peer not in first)], [*skipped, *cannot_run]


def make(name: str, checkpoint: Path | None) -> Backend:
    """The backend or the peer of a name, as `choose` makes it; in a new process it is the same again.

    Raises:
        BackendUnavailableError: it is not known or cannot run here.
    """
    return make_peer(name, checkpoint) if name in PEERS else registry.pick(name)


def is_on_all_graphs(backend: Backend) -> bool:
    """Whether it is measured on every graph; else on the one that a rig runs, unless others are named."""
    return backend.name not in PEERS or PEERS[backend.name].all_graphs


def entrants_of(cells: Sequence[Cell]) -> tuple[Entrant, ...]:
    """What is said of those that opened a graph, in their order."""
    by_name: dict[str, list[Cell]] = {}
    for cell in cells:
        by_name.setdefault(cell.backend, []).append(cell)
    return tuple(_entrant(name, of_backend) for name, of_backend in by_name.items())


def _entrant(name: str, cells: Sequence[Cell]) -> Entrant:
    backend = cells[0].opened_on
    about = backend.about if isinstance(backend, Peer) else None
    threads = getattr(backend, "threads", None)
    return Entrant(
        backend=name,
        is_peer=name in PEERS,
        settings=None if about is None else about.settings,
        documentation=None if about is None else about.documentation,
        threads=threads if isinstance(threads, int) else None,
        opening_s={cell.graph: cell.opening_s for cell in cells},
    )


def _peers(
    named: Sequence[str | Backend], checkpoint: Path | None, *, all_peers: bool
) -> tuple[list[Backend], list[Skip]]:
    found: list[Backend] = []
    skipped = []
    for name in PEERS:
        if not (name in named or all_peers or (name == TORCH and checkpoint is not None)):
            continue
        try:
            peer = make_peer(name, checkpoint)
            reason = why_not(peer)
            if reason is None:
                found.append(peer)
                continue
            if name in named:
                raise BackendUnavailableError(f"backend {name}", f"cannot run here: {reason}", "or leave it out")
        except BackendUnavailableError as error:
            if name in named:
                raise
            reason = reason_of(name, error)
        skipped.append(Skip(name, None, reason))
    return found, skipped


def _backends(named: Sequence[str | Backend] | None) -> tuple[list[Backend], list[Skip]]:
    if named is not None:
        return [_pick(each) if isinstance(each, str) else each for each in named], []
    statuses = registry.backends()
    skipped = [Skip(status.name, None, status.reason) for status in statuses if not status.available]
    return [registry.pick(status.name) for status in statuses if status.available], skipped


def _pick(name: str) -> Backend:
    try:
        return registry.pick(name)
    except UnknownBackendError as error:
        raise UnknownBackendError(name, [*error.known, *PEERS]) from error
