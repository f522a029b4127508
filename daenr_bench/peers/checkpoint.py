"""Is this the checkpoint that a bundle was made from? Peers that ran another would be compared with the wrong model."""

from __future__ import annotations

from pathlib import Path

from daenr_common.errors import CheckpointError
from daenr_common.hashing import sha256_of_file
from daenr_export.bundle import Manifest


def check_checkpoint(path: Path, manifest: Manifest) -> None:
    """Raise CheckpointError unless a bundle was made from this very checkpoint. Needs no torch."""
    if not path.is_file():
        problem, remedy = "does not exist or is not a file", "give the path that daenr-train fit wrote"
        raise CheckpointError(path, problem, remedy)
    digest, expected = sha256_of_file(path), manifest.checkpoint.sha256
    if digest != expected:
        problem = (
            f"is not what the bundle was exported from (sha256 {digest[:16]}…, the manifest says {expected[:16]}…)"
        )
        raise CheckpointError(path, problem, f"give that {manifest.checkpoint.file}, or export this one")
