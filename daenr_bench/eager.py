"""PyTorch eager as a backend: what a checkpoint costs before it is exported. The peer of every other figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from daenr_common.errors import BackendUnavailableError, CheckpointError
from daenr_common.extras import require
from daenr_common.files import sha256_of_file
from daenr_export.bundle import Manifest
from daenr_export.runtime.protocol import GraphSource
from daenr_export.runtime.session import CallSession
from daenr_export.specs import Array

if TYPE_CHECKING:
    from torch import Tensor

NAME = "torch"

_Step = Callable[["Tensor"], Any]


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


@final
class EagerBackend:
    """Runs the checkpoint's own modules in place of graphs (see `daenr_export.runtime.protocol.Backend`).

    Constraints of training are folded away, gradients are off, and each graph runs only the parts that it needs. Batch
    norms are not folded: it is PyTorch as the checkpoint's user runs it, without a compiler.

    Args:
        checkpoint: path of the file.
        threads: for each operator, like the other backends; holds for all of PyTorch in this process.
    """

    def __init__(self, checkpoint: Path, *, threads: int = 1) -> None:
        self._checkpoint = checkpoint
        self._threads = threads

    @property
    def name(self) -> str:
        """The name a user asks for."""
        return NAME

    def why_unavailable(self) -> str | None:
        """None where PyTorch is installed; otherwise what is missing."""
        try:
            self._library()
        except BackendUnavailableError as error:
            return str(error)
        return None

    def open(self, graph: GraphSource) -> CallSession:
        """Take the parts of the model that a graph stands for.

        Raises:
            BackendUnavailableError: PyTorch is not installed.
            CheckpointError: the checkpoint is damaged or of another version.
        """
        torch, spec = self._library(), graph.spec
        torch.set_num_threads(self._threads)
        steps = self._before(graph)
        heads = self._heads([output.name for output in spec.outputs])

        def answer(batch: Array) -> tuple[Array, ...]:
            with torch.inference_mode():
                value = torch.from_numpy(batch)
                for step in steps:
                    value = step(value)
                return tuple(tensor.numpy() for head in heads for tensor in head(value))

        return CallSession(NAME, spec, answer)

    def _before(self, graph: GraphSource) -> list[_Step]:
        """From the graph's input to features."""
        source = graph.spec.input
        if source.name != "image":
            return []
        steps: list[_Step] = [self._parts["encoder"]]
        return [self._scale, *steps] if source.dtype == "uint8" else steps

    def _heads(self, outputs: Sequence[str]) -> list[_Step]:
        """From features to the graph's outputs, each a function that returns a tuple of tensors."""
        heads: list[_Step] = []
        if "features" in outputs:
            heads.append(lambda features: (features,))
        if "responses" in outputs:
            readout = self._parts["readout"]
            heads.append(lambda features: (readout(features),))
        if "reconstruction" in outputs:
            heads.append(self._parts["decoder"])
        return heads

    def _scale(self, pixels: Tensor) -> Tensor:
        scale, offset = self._pixels
        return pixels.to(self._library().float32).mul_(scale).add_(offset)

    @cached_property
    def _model(self) -> Any:
        from daenr_train.checkpoint import load_checkpoint

        return load_checkpoint(self._checkpoint)

    @cached_property
    def _parts(self) -> dict[str, Any]:
        from daenr_train.models import inference_parts

        return dict(inference_parts(self._model.model()))

    @cached_property
    def _pixels(self) -> tuple[float, float]:
        return self._model.preprocessing["scale"], self._model.preprocessing["offset"]

    def _library(self) -> Any:
        return require("torch", extra="export", purpose="timing the checkpoint itself")
