"""Files of the user: read, and written so that the final path holds all of it or does not exist."""

from __future__ import annotations

import errno
import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from daenr_common.errors import DaenrError, OutputExistsError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PARTIAL = ".partial"
"""What the name of a file or folder ends in while it is being written."""

_ABANDONED_AFTER_S = 60  # between the creation and the lock there is a moment without one


def read_text(path: Path, remedy: str) -> str:
    """The text of a file that the user named.

    Raises:
        DaenrError: it is missing, cannot be read or is not UTF-8; the message ends with the remedy.
    """
    try:
        return path.read_text("utf-8")
    except FileNotFoundError as error:
        raise DaenrError(path, "does not exist", remedy) from error
    except (OSError, UnicodeDecodeError) as error:
        problem = f"cannot be read ({getattr(error, 'strerror', None) or 'it is not text'})"
        raise DaenrError(path, problem, remedy) from error


def refuse_to_overwrite(path: Path, *, force: bool) -> None:
    """Raise OutputExistsError if `path` exists and may not be replaced."""
    if path.exists() and not force:
        raise OutputExistsError(path)


def check_output_file(path: Path, *, force: bool) -> None:
    """See before long work whether a file can be written; nothing is created.

    Raises:
        OutputExistsError: the file exists and `force` is false.
        DaenrError: the path is a folder, or the folder that it would be in cannot be written to.
    """
    if path.is_dir():
        raise DaenrError(path, "is a folder", "give the file to write")
    refuse_to_overwrite(path, force=force)
    check_writable(path)


def check_writable(path: Path) -> None:
    """Raise DaenrError if the folder that `path` is or would be in cannot be written to; nothing is created."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    with _mapped_os_errors(path), tempfile.TemporaryFile(dir=folder):
        pass


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; on success it is renamed to `path`, on failure removed.

    Raises:
        DaenrError: the disk is full or the folder cannot be written to.
    """
    with _mapped_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL)
        os.close(handle)
        temporary = Path(name)
        try:
            with _claimed(temporary):
                yield temporary
                temporary.chmod(0o644)
                _flush_to_disk(temporary)
                temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it becomes `path`, on failure it is removed.

    A kill at any moment leaves `path` absent, old and complete, or new and complete.

    Raises:
        OutputExistsError: `path` exists and `force` is false.
        DaenrError: the disk is full or the folder cannot be written to.
    """
    refuse_to_overwrite(path, force=force)
    with _mapped_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL))
        try:
            with _claimed(temporary):
                yield temporary
                temporary.chmod(0o755)
                for file in temporary.rglob("*"):
                    if file.is_file():
                        _flush_to_disk(file)
                if path.exists():
                    _replace_directory(temporary, path)
                else:
                    temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _claimed(path: Path) -> Iterator[None]:
    """Hold a lock on a file or folder, which the system gives back when this process dies."""
    if fcntl is None:
        yield
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _remove_abandoned(path: Path) -> None:
    """Remove what killed processes left behind when they wrote `path`: old enough, and nobody holds a lock on it."""
    if fcntl is None:
        return
    for left in path.parent.glob(f".{glob.escape(path.name)}.*{PARTIAL}"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED_AFTER_S:
                with _claimed(left):
                    shutil.rmtree(left) if left.is_dir() else left.unlink()


def _replace_directory(new: Path, path: Path) -> None:
    old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".replaced"))
    path.rename(old / path.name)
    new.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def _flush_to_disk(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


@contextmanager
def _mapped_os_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DaenrError(path, "the disk is full", "free some space; nothing was left behind") from error
        raise DaenrError(path, f"cannot be written ({error.strerror})", "choose another output") from error
