"""The kernels that TensorRT-RTX compiles on a GPU when an engine is opened, kept in a file for the next time."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, final

from daenr_common.errors import DaenrError
from daenr_common.files import atomic_file
from daenr_common.hashing import sha256_of

_log = logging.getLogger(__name__)


@final
class KernelCache:
    """TensorRT-RTX's runtime cache, with the file it is kept in. An aid only: without it things take longer to open.

    The file is read without a hash: it is made on this machine, and who can write to it can write to the bundle, too.

    Args:
        cache: from `IRuntimeConfig.create_runtime_cache`.
        folder: where the file is, or will be.
        graph: name of the graph.
        plan: the serialised engine that the kernels are for.
    """

    def __init__(self, cache: Any, folder: Path, graph: str, plan: bytes) -> None:
        self.cache = cache
        self.file = folder / f"{graph}-{sha256_of(plan)[:16]}.cache"
        self._kept = self._read()
        if self._kept is not None:
            # False where it comes from another GPU, driver or version: the kernels are then compiled again.
            cache.deserialize(self._kept)

    def keep(self) -> None:
        """Write the kernels, if there are new ones. A folder that cannot be written to is said in the log, once."""
        content = bytes(self.cache.serialize() or b"")
        if not content or content == self._kept:
            return
        self._kept = content
        try:
            with atomic_file(self.file) as temporary:
                temporary.write_bytes(content)
        except DaenrError as error:
            _log.warning("compiled kernels are not kept, so that opening takes longer each time: %s", error)

    def _read(self) -> bytes | None:
        try:
            return self.file.read_bytes()
        except OSError:
            return None
