"""Writing a bundle: files are collected in a temporary folder, which becomes the bundle when the manifest is in."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from daenr_common.errors import BundleError, OutputExistsError
from daenr_common.files import atomic_directory, refuse_to_overwrite
from daenr_common.hashing import sha256_of
from daenr_export.bundle.manifest import ArrayEntry, FileEntry, GoldenEntry, Manifest
from daenr_export.bundle.manifest_file import from_bytes, to_bytes
from daenr_export.bundle.paths import MANIFEST, why_unsafe
from daenr_export.specs import Array


class BundleWriter:
    """Collects the files of one bundle. Made by `write_bundle`; `finish` is its last call.

    Args:
        folder: where the files go for now.
        path: where the bundle will be, for messages.
    """

    def __init__(self, folder: Path, path: Path) -> None:
        self._folder = folder
        self._path = path
        self._files: dict[str, FileEntry] = {}
        self._finished = False

    @property
    def finished(self) -> bool:
        """Whether the manifest is written, and with it the bundle complete."""
        return self._finished

    def add(self, relative_path: str, content: bytes) -> FileEntry:
        """Put a file into the bundle.

        Args:
            relative_path: with forward slashes, e.g. `graphs/encoder.onnx`.
            content: all of it.

        Raises:
            BundleError: the path leads out of the bundle, or is taken.
        """
        if self._finished:
            raise RuntimeError("the manifest is written: nothing can be added to this bundle")
        if problem := why_unsafe(relative_path):
            raise BundleError(self._path, f"a file of the path {relative_path!r}: {problem}", "use a relative path")
        if relative_path in self._files:
            raise BundleError(self._path, f"{relative_path} was added already", "give each file its own path")
        file = self._folder / relative_path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        self._files[relative_path] = FileEntry(sha256_of(content), len(content))
        return self._files[relative_path]

    def add_golden(self, arrays: Mapping[str, Array], *, images: int, relative_path: str = "golden.npz") -> GoldenEntry:
        """Put the golden inputs and outputs into the bundle.

        Args:
            arrays: by name; numbers only.
            images: how many images they answer.
            relative_path: of the file.

        Raises:
            BundleError: an array holds something else than numbers.

        Returns:
            The manifest's entry for it. The same arrays give the same bytes.
        """
        self.add(relative_path, _npz(arrays, self._path / relative_path))
        entries = {name: ArrayEntry(str(array.dtype), array.shape) for name, array in arrays.items()}
        return GoldenEntry(relative_path, images, entries)

    def finish(self, manifest: Manifest) -> Manifest:
        """Write the manifest, with the files that were added and its digest filled in, and return it so.

        Raises:
            BundleError: a field of the manifest is wrong, or names a file that was not added.
        """
        file = self._path / MANIFEST
        content = to_bytes(manifest._replace(files=dict(self._files)), file)
        (self._folder / MANIFEST).write_bytes(content)
        self._finished = True
        return from_bytes(content, file)


@contextmanager
def write_bundle(path: Path | str, *, force: bool = False) -> Iterator[BundleWriter]:
    """Write a bundle that appears at `path` complete or not at all.

        with write_bundle("cae_fr2.daenr") as writer:
            writer.add("graphs/encoder.onnx", content)
            writer.finish(manifest)

    Args:
        path: the folder to be made.
        force: replace a bundle that is there. Only a bundle: a folder of something else is never replaced.

    Raises:
        OutputExistsError: `path` exists and `force` is false.
        BundleError: `path` exists and is not a bundle.
        DaenrError: the disk is full or the folder cannot be written to.
    """
    path = Path(path)
    refuse_output(path, force=force)
    with atomic_directory(path, force=force) as folder:
        writer = BundleWriter(folder, path)
        yield writer
        if not writer.finished:
            raise RuntimeError(f"{path}: finish() was not called, so there is no bundle")


def refuse_output(path: Path, *, force: bool) -> None:
    """Raise if `write_bundle` would refuse to write to `path`; for those who want to know before long work.

    Raises:
        OutputExistsError: `path` exists and `force` is false.
        BundleError: `path` exists and is not a bundle.
    """
    if force and path.exists() and not _may_be_replaced(path):
        raise BundleError(path, "exists and is not a bundle, so --force does not replace it", "choose another output")
    if path.is_symlink() and not path.exists():
        raise OutputExistsError(path)
    refuse_to_overwrite(path, force=force)


def _npz(arrays: Mapping[str, Array], path: Path) -> bytes:
    # Written entry by entry with zipfile's fixed time stamp: numpy.savez promises no identical bytes.
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in sorted(arrays):
            if arrays[name].dtype.kind not in "biuf":
                raise BundleError(path, f"the array {name} is of {arrays[name].dtype}", "give numbers")
            entry = io.BytesIO()
            np.lib.format.write_array(entry, arrays[name], allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), entry.getvalue())
    return stream.getvalue()


def _may_be_replaced(path: Path) -> bool:
    return path.is_dir() and ((path / MANIFEST).is_file() or not any(path.iterdir()))
