"""The checkpoint run by PyTorch, in one of several ways: each is a recipe, and this is the backend that cooks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from daenr_bench.peers.contract import About
from daenr_common.errors import BackendUnavailableError, DaenrError
from daenr_common.extras import require
from daenr_export.runtime.availability import check_installed, find_all, one_line, reason_of
from daenr_export.runtime.protocol import GraphSource
from daenr_export.runtime.session import Answer, CallSession
from daenr_export.specs import BatchRange, GraphSpec
from daenr_export.tensorrt.gpu import why_no_gpu

if TYPE_CHECKING:
    from torch import Tensor

    from daenr_bench.peers.graph_module import GraphModule

Run = Callable[["Tensor"], "tuple[Tensor, ...]"]

THREADS = 1
"""Of PyTorch, for each operator. It has one setting for the whole process, so that all of its peers share it.

One is what the backends of a bundle use. On a graph this small a second thread costs more than it brings.
"""


@dataclass(frozen=True)
class Recipe:
    """A way to run a module.

    Attributes:
        name: of the peer.
        about: its settings, and the documentation that recommends them.
        prepare: makes of a module and an example (a batch of one) what is called for each batch. It compiles all that
            there is to compile.
        device: where the module is, as PyTorch calls it.
        single_images: whether what is prepared is for batches of one.
        package: a module that is needed besides torch, and what installs it.
    """

    name: str
    about: About
    prepare: Callable[[GraphModule, Tensor], Run]
    device: str = "cpu"
    single_images: bool = False
    package: tuple[str, str] | None = None


@final
class TorchPeer:
    """Runs the checkpoint's own modules in place of graphs (see `daenr_bench.peers.contract.Peer`).

    Args:
        recipe: how.
        checkpoint: path of the file.
        threads: for each operator.
    """

    def __init__(self, recipe: Recipe, checkpoint: Path, *, threads: int = THREADS) -> None:
        self._recipe = recipe
        self._checkpoint = checkpoint
        self._threads = threads

    @property
    def name(self) -> str:
        """The name a user asks for."""
        return self._recipe.name

    @property
    def about(self) -> About:
        """Settings and documentation."""
        return self._recipe.about

    @property
    def threads(self) -> int:
        """Set before each call, if anything else changed them."""
        return self._threads

    def why_unavailable(self) -> str | None:
        """None where PyTorch can run this; otherwise what is missing."""
        try:
            self._library()
        except BackendUnavailableError as error:
            return reason_of(self.name, error)
        return None

    def open(self, graph: GraphSource) -> CallSession:
        """Take the parts of the model that a graph stands for, and prepare them.

        Raises:
            BackendUnavailableError: something is missing, or PyTorch cannot prepare this graph.
            CheckpointError: the checkpoint is damaged or of another version.
        """
        torch, recipe = self._library(), self._recipe
        from daenr_bench.peers.graph_module import GraphModule, example_of

        torch.set_num_threads(self._threads)
        module = GraphModule(self._model, graph.spec).eval().to(recipe.device)
        try:
            with torch.inference_mode():  # the example must be like what is answered, or it is compiled for nothing
                example = example_of(graph.spec, recipe.device)
            run = recipe.prepare(module, example)
        except DaenrError:
            raise
        except Exception as error:
            problem = f"cannot prepare the graph {graph.spec.name} ({type(error).__name__}: {_first_line(error)})"
            raise BackendUnavailableError(self.name, problem, "leave it out") from error
        return CallSession(self.name, self._spec(graph.spec), self._answering(torch, run))

    def _answering(self, torch: Any, run: Run) -> Answer:
        """From arrays to arrays, as a user does it: without gradients, on a GPU with the copies there and back."""
        from_numpy, inference_mode, device, wanted = (
            torch.from_numpy,
            torch.inference_mode,
            self._recipe.device,
            self._threads,
        )
        threads, set_threads = torch.get_num_threads, torch.set_num_threads

        def on_cpu(batch: Any) -> tuple[Any, ...]:
            if threads() != wanted:
                set_threads(wanted)
            with inference_mode():
                return tuple(tensor.numpy() for tensor in run(from_numpy(batch)))

        def on_gpu(batch: Any) -> tuple[Any, ...]:
            with inference_mode():
                return tuple(tensor.cpu().numpy() for tensor in run(from_numpy(batch).to(device)))

        return on_cpu if device == "cpu" else on_gpu

    def _spec(self, spec: GraphSpec) -> GraphSpec:
        return spec._replace(batch=BatchRange(1, 1, 1)) if self._recipe.single_images else spec

    @cached_property
    def _model(self) -> Any:
        from daenr_train.checkpoint import load_checkpoint

        return load_checkpoint(self._checkpoint)

    def _library(self) -> Any:
        """The module torch, if all else is there. Without a GPU nothing is imported for one."""
        recipe, purpose = self._recipe, "timing the checkpoint itself"

        def gpu() -> None:
            if recipe.device != "cpu" and (reason := why_no_gpu()):
                raise BackendUnavailableError(recipe.name, reason, "install the NVIDIA driver")

        def package() -> None:
            if recipe.package is not None:
                check_installed(recipe.name, *recipe.package)

        find_all(recipe.name, (gpu, package))
        torch = require("torch", extra="export", purpose=purpose)
        if recipe.device != "cpu" and not torch.cuda.is_available():
            problem = f"the PyTorch that is installed ({torch.__version__}) sees no GPU"
            raise BackendUnavailableError(recipe.name, problem, "install the build for the driver's version of CUDA")
        return torch


def _first_line(error: Exception) -> str:
    """What a compiler says first; it goes on for pages."""
    return one_line(next((line for line in str(error).splitlines() if line.strip()), "no message"))
