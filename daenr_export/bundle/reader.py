"""Opening a bundle: a file is read once and hashed, and those very bytes are what is handed out, then and later."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from daenr_common.errors import BackendUnavailableError, BundleError
from daenr_common.hashing import sha256_of
from daenr_export.bundle.manifest import FileEntry, Manifest
from daenr_export.bundle.manifest_file import COPY_AGAIN, EXPORT_AGAIN, from_bytes
from daenr_export.bundle.paths import MANIFEST
from daenr_export.specs import Array, GraphSpec

MAX_MANIFEST_BYTES = 64 * 2**20
LOAD_AGAIN = f"load the bundle again, in case that another took its place; if it is still refused, {COPY_AGAIN}"


class Bundle:
    """A bundle that hands out no byte of a file whose hash did not match. What was read is held in memory.

    Made by `Bundle.open`. Its methods may be called from several threads.

    Attributes:
        path: the folder.
        manifest: the content of its `manifest.json`.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._folder = path.absolute()  # files are read later, too, when the process may have gone elsewhere
        self._contents: dict[str, bytes] = {}

    @classmethod
    def open(cls, path: Path | str, *, whole: bool = True) -> Bundle:
        """Open a bundle and check it.

        Args:
            path: the folder.
            whole: read and hash every file now. If not, only the manifest is; any other file is when it is first asked
                for, so that a rig which runs one graph does not wait for the engines of all others.

        Raises:
            BundleError: it is not a folder, or a file is missing, of another size, not listed or a link; if `whole`,
                also if one was changed in any byte.
        """
        path = Path(path)
        with _named_os_errors(path, COPY_AGAIN):
            _check_is_folder(path)
            found = dict(_walk(path))
            manifest = _read_manifest(path, found)
            _check_listed(path, manifest, found)
        bundle = cls(path, manifest)
        if whole:
            bundle._read_all()
        return bundle

    @property
    def cache_folder(self) -> Path:
        """A folder beside the bundle, which itself may not change, for what was found out or compiled here."""
        path = self._folder.resolve()
        return path.with_name(f"{path.name}.cache")

    def read(self, relative_path: str) -> bytes:
        """The content of a file of the bundle, as it was when it was first read and its hash checked.

        Raises:
            BundleError: it was changed, or cannot be read.
        """
        return self._read(relative_path, LOAD_AGAIN)

    def _read(self, relative_path: str, remedy: str) -> bytes:
        if relative_path not in self._contents:
            file = self._folder / relative_path
            with _named_os_errors(file, remedy):
                content = _read_checked(file, self.manifest.files[relative_path], remedy)
            self._contents.setdefault(relative_path, content)  # another thread may have been faster
        return self._contents[relative_path]

    def _read_all(self) -> None:
        from concurrent.futures import ThreadPoolExecutor  # milliseconds to import

        # Reading and hashing leave Python's lock, so that two threads halve the time of a bundle with engines.
        with ThreadPoolExecutor(2) as pool:
            for _ in pool.map(lambda name: self._read(name, COPY_AGAIN), self.manifest.files):
                pass

    def graph(self, name: str) -> BundledGraph:
        """A graph by name.

        Raises:
            BundleError: the bundle has no such graph.
        """
        if name not in self.manifest.graphs:
            problem = f"has no graph {name!r}, only {', '.join(self.manifest.graphs)}"
            raise BundleError(self.path, problem, "choose one of these, or a model that has the part")
        return BundledGraph(self, name)

    def golden(self) -> dict[str, Array]:
        """The golden inputs and outputs by name.

        Raises:
            BundleError: the file was changed, or does not hold the arrays that the manifest says.
        """
        import zipfile  # milliseconds to import, and what answers frames reads none

        golden = self.manifest.golden
        try:
            with np.load(io.BytesIO(self.read(golden.file)), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except (ValueError, OSError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
            raise BundleError(self.path / golden.file, f"is not an npz of numbers ({error})", EXPORT_AGAIN) from error
        said = {name: (entry.dtype, entry.shape) for name, entry in golden.arrays.items()}
        if {name: (str(array.dtype), array.shape) for name, array in arrays.items()} != said:
            problem = "holds other arrays than the manifest says"
            raise BundleError(self.path / golden.file, problem, EXPORT_AGAIN)
        return arrays


class BundledGraph:
    """One graph of a bundle, as backends see it (`daenr_export.runtime.protocol.GraphSource`)."""

    def __init__(self, bundle: Bundle, name: str) -> None:
        self._bundle = bundle
        self._entry = bundle.manifest.graphs[name]
        self._spec = bundle.manifest.graph_spec(name)

    @property
    def spec(self) -> GraphSpec:
        """Input, outputs and batch range."""
        return self._spec

    @property
    def cache_folder(self) -> Path:
        """A folder beside the bundle, which itself may not change, for what a backend compiles on this machine."""
        return self._bundle.cache_folder

    def onnx(self, precision: str = "fp32") -> bytes:
        """The ONNX graph, or its typed variant of another precision.

        Raises:
            BundleError: the bundle holds no variant of that precision.
        """
        if precision == "fp32":
            return self._bundle.read(self._entry.file)
        if precision not in self._entry.variants:
            has = ", ".join(["fp32", *self._entry.variants])
            problem = f"has no {precision} variant of the graph {self._spec.name}, only {has}"
            raise BundleError(self._bundle.path, problem, f"export it with --precision {precision}")
        return self._bundle.read(self._entry.variants[precision])

    @property
    def onnx_sha256(self) -> str:
        """Digest of the fp32 ONNX graph, as the manifest says it and `onnx` holds the file to."""
        return self._bundle.manifest.files[self._entry.file].sha256

    def engine(self, flavour: str, precision: str | None = None) -> bytes:
        """The TensorRT engine of a flavour.

        Args:
            flavour: `tensorrt-rtx` or `tensorrt`.
            precision: as it was requested; None for the one that the bundle was exported for.

        Raises:
            BackendUnavailableError: the bundle holds no such engine for this graph.
        """
        manifest, name = self._bundle.manifest, self._spec.name
        wanted = precision or manifest.engine_precision(name, flavour)
        for engine in manifest.engines:
            if (engine.graph, engine.flavour, engine.precision_requested) == (name, flavour, wanted):
                return self._bundle.read(engine.file)
        raise BackendUnavailableError(
            self._bundle.path,
            f"holds no {wanted} engine of {flavour} for the graph {name}",
            f"export it with --trt --trt-flavour {flavour}, or choose a backend that runs ONNX",
        )

    def native(self, target: str) -> bytes:
        """The library of compiled C for a target, e.g. `x86_64-linux`.

        Raises:
            BackendUnavailableError: the bundle holds no such library for this graph.
        """
        name = self._spec.name
        for native in self._bundle.manifest.natives:
            if (native.graph, native.target) == (name, target):
                return self._bundle.read(native.file)
        raise BackendUnavailableError(
            self._bundle.path.name,  # ends up in results, which tell nothing of the machine's folders
            f"holds no native library for {target} for the graph {name}",
            f"export it with --native --target {target}, or choose a backend that runs ONNX",
        )


def _check_is_folder(path: Path) -> None:
    if path.is_dir():
        return
    if not path.exists():
        raise BundleError(path, "does not exist", "check the path, or export a checkpoint with daenr-export")
    import zipfile

    packed = " but a zip archive" if zipfile.is_zipfile(path) else ""
    remedy = "unpack it and give the folder" if packed else "give the folder that holds manifest.json"
    if packed and path.suffix == ".pt":
        packed, remedy = " but a checkpoint", f"export it first: daenr-export --checkpoint {path}"
    raise BundleError(path, f"is not a folder{packed}", remedy)


def _walk(folder: Path | str, above: str = "") -> Iterator[tuple[str, int]]:
    """Yield path and size in bytes of every file below `folder`; refuse links and what is neither file nor folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            relative = above + entry.name
            if entry.is_symlink():
                problem = "is a symbolic link, and a bundle holds its files itself"
                raise BundleError(entry.path, problem, "replace the link by the file it leads to")
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, f"{relative}/")
            elif entry.is_file(follow_symlinks=False):
                yield relative, entry.stat(follow_symlinks=False).st_size
            else:
                raise BundleError(entry.path, "is not a regular file", "remove it from the bundle")


def _read_manifest(path: Path, found: dict[str, int]) -> Manifest:
    file = path / MANIFEST
    if MANIFEST not in found:
        raise BundleError(path, f"holds no {MANIFEST}, so it is not a bundle", "check the path, or export it again")
    if found[MANIFEST] > MAX_MANIFEST_BYTES:
        raise BundleError(file, f"is {found[MANIFEST]} bytes, which no manifest needs", EXPORT_AGAIN)
    return from_bytes(file.read_bytes(), file)


def _check_listed(path: Path, manifest: Manifest, found: dict[str, int]) -> None:
    for name in found.keys() - manifest.files.keys() - {MANIFEST}:
        raise BundleError(path / name, f"is not listed in {MANIFEST}", "remove it from the bundle")
    for name, entry in manifest.files.items():
        if name not in found:
            raise BundleError(path / name, f"is missing, though {MANIFEST} lists it", COPY_AGAIN)
        if found[name] != entry.bytes:
            raise BundleError(path / name, f"has {found[name]} bytes, and {MANIFEST} says {entry.bytes}", COPY_AGAIN)


def _read_checked(file: Path, entry: FileEntry, remedy: str) -> bytes:
    with open(file, "rb", opener=_open_plainly) as stream:
        content = stream.read(entry.bytes + 1)
    if len(content) != entry.bytes or sha256_of(content) != entry.sha256:
        raise BundleError(file, f"was changed: its sha256 is not the one in {MANIFEST}", remedy)
    return content


def _open_plainly(path: str, flags: int) -> int:
    """Neither follow a link nor wait for a pipe that took the file's place since the folder was looked through."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


@contextmanager
def _named_os_errors(path: Path, remedy: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BundleError(error.filename or path, f"cannot be read ({error.strerror})", remedy) from error
