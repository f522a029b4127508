"""A folder as one archive that names nobody."""

from __future__ import annotations

import tarfile
from pathlib import Path

from daenr_common.files import atomic_file

FOLDER = "gpu-check"
"""What the archive unpacks to."""


def write_archive(folder: Path, output: Path) -> None:
    """Pack all files of a folder as `.tar.gz`, whole or not at all.

    Raises:
        DaenrError: the disk is full, or the file cannot be written.
    """
    with atomic_file(output) as temporary, tarfile.open(temporary, "w:gz") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.add(path, f"{FOLDER}/{path.relative_to(folder).as_posix()}", filter=_without_owner)


def _without_owner(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o644
    return entry
