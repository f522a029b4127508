"""Loading a bundle as a model: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self, final

import numpy as np

from daenr_common.errors import DaenrError
from daenr_export.bundle import Bundle, Manifest
from daenr_export.runtime import registry
from daenr_export.runtime.gate import Gate
from daenr_export.runtime.protocol import Backend, Session
from daenr_export.runtime.registry import BackendStatus
from daenr_export.specs import Array, BatchRange, GraphSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from daenr_export.runtime.profile import MachineProfile
    from daenr_export.runtime.realtime import RealtimeSession

    Responses = NDArray[np.float32]


class _OpenGraph(NamedTuple):
    gate: Gate
    session: Session
    outputs: dict[str, int]


def load(path: Path | str, backend: str | Backend = registry.AUTO, *, whole: bool = False) -> Model:
    """Open a bundle as a model.

    No file is used before its hash matched, and none is hashed that is not used, unless `whole` asks for it. What is
    missing, of another size or not listed is refused at once, in whatever file it is.

    Args:
        path: the folder, e.g. `cae_fr2.daenr`.
        backend: `auto` for the one that `daenr-export tune` found best on this machine, or else the fastest that can
            run here; the name of one of `daenr_export.backends()`, which then is the one that runs, if need be with
            options, e.g. `onnxruntime:threads=2`; or a backend.
        whole: hash every file now, so that none can be found changed later, when another graph is first used.

    Raises:
        BundleError: the bundle is missing, incomplete, edited in a file that is used, or of another schema version.
        BackendUnavailableError: the backend is not known or cannot run here.
        DaenrError: there is a machine profile, and it cannot be read.
    """
    bundle = Bundle.open(path, whole=whole)
    if not isinstance(backend, str):
        return Model(bundle, backend)
    if backend != registry.AUTO:
        return Model(bundle, registry.pick(backend))
    from daenr_export.runtime.profile import read_profile  # milliseconds to import, and only `auto` asks it

    # Opening a graph is what shows that an engine fits this GPU; the one that a rig runs is opened first.
    graphs = list(bundle.manifest.graphs)
    name = "responses" if "responses" in graphs else graphs[0]
    profile = read_profile(bundle)
    choice = registry.open_fastest(bundle.graph(name), first=profile.backend if profile else None)
    return Model(bundle, choice.backend, opened={name: choice.session}, skipped=choice.skipped, profile=profile)


@final
class Model:
    """A bundle on a backend. Made by `load`; a context manager; for one thread at a time.

    Images are `(B, 1, 32, 32)`: float32 in [-1, 1], or uint8 if the bundle was exported so. Features are what `encode`
    returns. Every input is checked, and every answer belongs to the caller. Graphs are opened when first used.

    Attributes:
        skipped: the faster backends that `auto` passed over, each with the reason.
        profile: what `daenr-export tune` found on this machine; None where it was not asked, or not for `auto`.
    """

    def __init__(
        self,
        bundle: Bundle,
        backend: Backend,
        *,
        opened: dict[str, Session] | None = None,
        skipped: tuple[BackendStatus, ...] = (),
        profile: MachineProfile | None = None,
    ) -> None:
        self.skipped = skipped
        self.profile = profile
        self._bundle = bundle
        self._backend = backend
        self._opening = Lock()
        self._closed = False
        self._open = {name: _beside_gate(session) for name, session in (opened or {}).items()}

    @property
    def manifest(self) -> Manifest:
        """Everything that the bundle says about itself."""
        return self._bundle.manifest

    @property
    def backend(self) -> str:
        """The name of the backend that runs."""
        return self._backend.name

    @property
    def neuron_ids(self) -> tuple[str, ...]:
        """One for each column of the responses."""
        return self.manifest.neuron_ids

    @property
    def graphs(self) -> dict[str, GraphSpec]:
        """The graphs that the bundle has, by name."""
        return {name: self.manifest.graph_spec(name) for name in self.manifest.graphs}

    @property
    def golden(self) -> dict[str, Array]:
        """Images that came with the bundle, and what the PyTorch model answered (see `daenr_export.bundle.golden`).

        Raises:
            BundleError: the file was changed.
        """
        return self._bundle.golden()

    @property
    def batch(self) -> BatchRange:
        """The batch sizes that every graph takes."""
        ranges = [graph.batch for graph in self.manifest.graphs.values()]
        low, high = max(batch.min for batch in ranges), min(batch.max for batch in ranges)
        return BatchRange(low, min(max(ranges[0].opt, low), high), high)

    def responses(self, image: Array) -> Responses:
        """Predict the responses `(B, M)` to images.

        Raises:
            ImageError: the array has the wrong type, shape, batch size or range.
            BundleError: the model has no readout; or, on the first call, the graph's file was changed.
        """
        return self._answer("responses", image, "responses")

    def reconstruct(self, image: Array) -> Array:
        """Reconstruct images as `(B, 1, 32, 32)` in [-1, 1]. Raises as `responses` does."""
        return self._answer("reconstruction", image, "reconstruction")

    def encode(self, image: Array) -> Array:
        """Turn images into features `(B, channels, height, width)`. Raises as `responses` does."""
        return self._answer("encoder", image, "features")

    def decode(self, features: Array) -> Array:
        """Reconstruct images `(B, 1, 32, 32)` from features. Raises as `responses` does."""
        return self._answer("decoder", features, "reconstruction")

    def read_out(self, features: Array) -> Responses:
        """Predict the responses `(B, M)` from features. Raises as `responses` does."""
        return self._answer("readout", features, "responses")

    def joint(self, image: Array) -> tuple[Responses, Array]:
        """Responses and reconstruction of the same images in one pass. Raises as `responses` does."""
        graph = self._open.get("joint") or self._open_graph("joint")
        outputs = graph.session.run(graph.gate(image))
        return outputs[graph.outputs["responses"]], outputs[graph.outputs["reconstruction"]]

    def run(self, graph: str, batch: Array) -> dict[str, Array]:
        """Run a graph and return all of its outputs by name, e.g. the `codes` of a VQ-VAE too."""
        opened = self._open.get(graph) or self._open_graph(graph)
        return dict(zip(opened.outputs, opened.session.run(opened.gate(batch)), strict=True))

    def warm_up(self, graphs: Iterable[str] | None = None, *, runs: int = 3) -> None:
        """Open graphs and run each a few times on real images, so that the first frame is answered like any other.

        Args:
            graphs: their names; None for all.
            runs: how often, at the batch size that the bundle is tuned for.

        Raises:
            BundleError: the bundle has no such graph, or the graph's file or the golden file was changed.
            BackendUnavailableError: the backend does not open it.
        """
        from daenr_export.bundle.golden import Golden, in_batches

        golden = Golden(self.golden, self._bundle.path / self.manifest.golden.file)
        for name in self.manifest.graphs if graphs is None else graphs:
            session = (self._open.get(name) or self._open_graph(name)).session
            batch = next(in_batches(golden.inputs(session.spec), session.spec.batch.opt))
            for _ in range(runs):
                session.run(batch)

    def realtime(
        self,
        graph: str = "responses",
        *,
        batch: int = 1,
        keep_warm: bool = False,
        cpu: int | None = None,
        priority: str | None = None,
        lock_memory: bool = False,
        freeze_gc: bool = True,
    ) -> AbstractContextManager[RealtimeSession]:
        """Open a graph for a loop that answers frame by frame: `with model.realtime() as rt: rates = rt(image)`.

        The session has buffers and an engine of its own, is warmed up on the bundle's images until its latency is
        stable, and belongs to the thread that enters the block. What was changed is put back when the block ends.
        Threads and programs started inside the block inherit core and priority, so start them before it.

        Args:
            graph: its name.
            batch: how many images a frame has.
            keep_warm: run the engine on the last frame while the session waits for the next (`wait_until`, `wait_for`):
                frames that come every few milliseconds are then answered several times faster, for most of a core.
            cpu: the core that the thread is to stay on (Linux).
            priority: `fifo` for the real-time policy SCHED_FIFO at priority 40, or `fifo:N` (Linux; needs the right).
            lock_memory: keep all pages of the process in memory, also those taken later (Linux; needs the right).
            freeze_gc: collect garbage once, then not at all while the block runs. Cyclic garbage stays until the end.

        Raises:
            BundleError: the bundle has no such graph, or the graph's file or the golden file was changed.
            BackendUnavailableError: the backend does not open it.
            DaenrError: a setting is not known or not allowed here; nothing stays changed.
        """
        from daenr_export.runtime.realtime import RealtimeOptions, open_realtime

        self._check_open()
        options = RealtimeOptions(graph, batch, keep_warm, cpu, priority, lock_memory, freeze_gc)
        return open_realtime(self._bundle, self._backend, options)

    def close(self) -> None:
        """Close all sessions. Closing twice is allowed; a model that is closed answers no more."""
        with self._opening:
            self._closed = True
            while self._open:
                self._open.popitem()[1].session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _answer(self, name: str, batch: Array, output: str) -> Array:
        graph = self._open.get(name) or self._open_graph(name)
        return graph.session.run(graph.gate(batch))[graph.outputs[output]]

    def _check_open(self) -> None:
        if self._closed:
            raise DaenrError(self._bundle.path, "is a model that was closed", "load the bundle again")

    def _open_graph(self, name: str) -> _OpenGraph:
        with self._opening:
            self._check_open()
            if name not in self._open:
                self._open[name] = _beside_gate(self._backend.open(self._bundle.graph(name)))
            return self._open[name]


def _beside_gate(session: Session) -> _OpenGraph:
    names = {output.name: index for index, output in enumerate(session.spec.outputs)}
    return _OpenGraph(Gate(session.spec), session, names)
