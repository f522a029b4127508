"""The file that a log goes into: opened for one writer, appended to, and patient with a disk that is full."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from daenr_common.errors import DaenrError
from daenr_common.files import refuse_to_overwrite

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class Output:
    """An append-only file.

    What could not be written stays, and goes out first when there is room again: the file never has a hole.

    Attributes:
        problem: the first failure, in words; None while there is none.
    """

    def __init__(self, path: Path, *, force: bool) -> None:
        self.problem: str | None = None
        self._path = path
        self._waiting = memoryview(b"")
        self._file = _open(path, force=force)

    def write(self, content: bytes = b"") -> bool:
        """Append bytes, after those that still wait. Not to be called with new ones while `is_stuck`.

        Returns:
            Whether all is written.
        """
        if content:
            self._waiting = memoryview(content)
        try:
            while self._waiting:
                self._waiting = self._waiting[os.write(self._file, self._waiting) :]
        except OSError as error:
            self.note(_reason(error))
        return not self._waiting

    def note(self, problem: str) -> None:
        """Keep a problem, if it is the first."""
        self.problem = self.problem or problem

    @property
    def is_stuck(self) -> bool:
        """Whether bytes still wait."""
        return bool(self._waiting)

    def sync(self) -> None:
        """Wait until the disk has what was written."""
        try:
            os.fsync(self._file)
        except OSError as error:
            if error.errno != errno.EINVAL:  # not a file on a disk
                self.note(_reason(error))

    def close(self) -> None:
        """Close the file."""
        try:
            os.close(self._file)
        except OSError as error:  # a network's disk may say only now that it could not write
            self.note(_reason(error))

    def discard(self) -> None:
        """Close the file and remove it, unless it is a device."""
        if self._path.is_file():
            self._path.unlink()
        self.close()


def _reason(error: OSError) -> str:
    return "the disk is full" if error.errno == errno.ENOSPC else f"cannot be written ({error.strerror})"


def _open(path: Path, *, force: bool) -> int:
    """Open a file for this writer alone, empty.

    Raises:
        OutputExistsError: it exists and `force` is false.
        DaenrError: it cannot be written, or another log writes it.
    """
    if path.exists() and not (stat.S_ISREG(path.stat().st_mode) or stat.S_ISCHR(path.stat().st_mode)):
        raise DaenrError(path, "is not a file", "give the file to write")
    refuse_to_overwrite(path, force=force)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, flags | (0 if force else os.O_EXCL), 0o644)
    except OSError as error:
        raise DaenrError(path, _reason(error), "choose another output") from error
    try:
        _claim(path, file)
        if stat.S_ISREG(os.fstat(file).st_mode):
            os.ftruncate(file, 0)
    except BaseException:
        os.close(file)
        raise
    return file


def _claim(path: Path, file: int) -> None:
    """Keep out other writers for as long as the file is open."""
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DaenrError(path, "is being written by another loop", "choose another output") from error
    except OSError:  # a file system without locks
        return
