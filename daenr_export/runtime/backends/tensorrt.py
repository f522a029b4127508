"""TensorRT: runs the bundle's engines, of either flavour, with device memory and streams from pycuda.

`auto` asks these backends first, on any machine: what only runs with a GPU is imported when an engine is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from daenr_common.errors import BackendUnavailableError
from daenr_common.extras import require
from daenr_export.runtime.availability import check_installed, find_all, reason_of
from daenr_export.runtime.backends import cuda_graph
from daenr_export.runtime.backends.cuda_memory import current
from daenr_export.runtime.protocol import GraphSource
from daenr_export.tensorrt.flavour import ENTERPRISE, RTX, Flavour
from daenr_export.tensorrt.gpu import why_no_gpu

if TYPE_CHECKING:
    from daenr_export.runtime.backends.tensorrt_context import ContextOptions
    from daenr_export.runtime.backends.tensorrt_session import EngineSession

LoadTensorRt = Callable[[Flavour], Any]
"""Imports the module of a flavour. Tests, which have no GPU, bring one whose engines run on the CPU."""


def _load(flavour: Flavour) -> Any:
    return flavour.load(f"the backend {flavour.name}", running=True)


class _EngineBackend:
    """What the backends of both flavours do (see `daenr_export.runtime.protocol.Backend`)."""

    def __init__(self, flavour: Flavour, load: LoadTensorRt, *, capture: bool = False) -> None:
        self._flavour = flavour
        self._load = load
        self._capture = capture

    @property
    def name(self) -> str:
        """The name a user asks for."""
        return self._flavour.name

    def why_unavailable(self) -> str | None:
        """None where engines can run; otherwise all that is missing."""
        try:
            self._libraries()
        except BackendUnavailableError as error:
            return reason_of(self.name, error)
        return None

    def open(self, graph: GraphSource) -> EngineSession:
        """Open the engine of a graph.

        Raises:
            BackendUnavailableError: something is missing here, the bundle holds no engine of this flavour, the engine
                is for another version or GPU, or the GPU has not the memory.
        """
        from daenr_export.runtime.backends.tensorrt_context import OpenEngine
        from daenr_export.runtime.backends.tensorrt_session import EngineSession

        trt, driver = self._libraries()
        plan = graph.engine(self.name)
        try:
            with current(driver):
                engine = OpenEngine(trt, plan, graph.spec, self._options(graph))
                return EngineSession(self.name, driver, graph.spec, engine, capture=self._capture)
        except driver.Error as error:
            problem = f"cannot open the graph {graph.spec.name} on the GPU ({error})"
            raise BackendUnavailableError(self.name, problem, "free memory of the GPU, or choose another") from error

    def _options(self, graph: GraphSource) -> ContextOptions:  # noqa: ARG002 (the other flavour's asks it)
        from daenr_export.runtime.backends.tensorrt_context import ContextOptions

        return ContextOptions()

    def _libraries(self) -> tuple[Any, Any]:
        """The modules of TensorRT and of pycuda's driver. Without a GPU nothing is imported: that can take seconds."""
        name, extra, no_gpu = self.name, self._flavour.run_extra, why_no_gpu()

        def gpu() -> None:
            if no_gpu:
                raise BackendUnavailableError(name, no_gpu, "install the NVIDIA driver")

        def tensorrt() -> Any:
            return check_installed(name, self._flavour.module, extra) if no_gpu else self._load(self._flavour)

        def pycuda() -> Any:
            if no_gpu:
                return check_installed(name, "pycuda.driver", extra)
            return require("pycuda.driver", extra=extra, purpose=f"the backend {name}")

        def graphs() -> None:
            if self._capture:
                check_installed(name, cuda_graph.MODULE, extra, "cuda-bindings")

        _, trt, driver, _ = find_all(name, (gpu, tensorrt, pycuda, graphs))
        return trt, driver


@final
class TensorRtBackend(_EngineBackend):
    """Opens engines with TensorRT (Enterprise).

    Args:
        cuda_graphs: capture the copies and kernels of a batch as one CUDA graph, and launch that; needs cuda-bindings.
        load: imports the flavour's module.
    """

    def __init__(self, *, cuda_graphs: bool = False, load: LoadTensorRt = _load) -> None:
        super().__init__(ENTERPRISE, load, capture=cuda_graphs)


@final
class TensorRtRtxBackend(_EngineBackend):
    """Opens engines with TensorRT-RTX.

    Args:
        cuda_graphs: let TensorRT-RTX capture the kernels of a batch size as one CUDA graph, and launch that.
        eager_kernels: compile the kernels of a new batch size at once, so that its second answer is as fast as any.
        runtime_cache: a folder for the kernels that TensorRT-RTX compiles on this GPU when an engine is opened, so that
            they need not be compiled again the next time. True: one beside the bundle, named for it
            (`cae_fr2.daenr.cache/`). False: none.
        load: imports the flavour's module.
    """

    def __init__(
        self,
        *,
        cuda_graphs: bool = False,
        eager_kernels: bool = True,
        runtime_cache: Path | bool = True,
        load: LoadTensorRt = _load,
    ) -> None:
        super().__init__(RTX, load)
        self._cuda_graphs = cuda_graphs
        self._eager_kernels = eager_kernels
        self._runtime_cache = runtime_cache

    def _options(self, graph: GraphSource) -> ContextOptions:
        from daenr_export.runtime.backends.tensorrt_context import ContextOptions

        beside = graph.cache_folder if self._runtime_cache else None
        folder = beside if isinstance(self._runtime_cache, bool) else self._runtime_cache
        return ContextOptions(self._cuda_graphs, self._eager_kernels, folder)
