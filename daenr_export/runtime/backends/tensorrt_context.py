"""A plan opened on the GPU: its engine and execution context, with TensorRT's answers turned into errors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from daenr_common.errors import BackendUnavailableError, DaenrError
from daenr_export.runtime.backends.tensorrt_cache import KernelCache
from daenr_export.specs import GraphSpec
from daenr_export.tensorrt.messages import collecting_logger, what_went_wrong
from daenr_export.tensorrt.plan import REMEDY, open_plan


@dataclass(frozen=True)
class ContextOptions:
    """What TensorRT-RTX can be told when it makes an execution context; Enterprise knows none of it.

    Attributes:
        cuda_graphs: capture the kernels of a batch size as one CUDA graph.
        eager_kernels: compile the kernels of a new batch size at once, not in the background of its first answers.
        runtime_cache: folder for the kernels that are compiled when an engine is opened.
    """

    cuda_graphs: bool = False
    eager_kernels: bool = False
    runtime_cache: Path | None = None


@final
class OpenEngine:
    """An engine ready to run. The CUDA context in which it was made must be current in all calls.

    Args:
        trt: the module of the flavour.
        plan: the serialised engine, its hash checked.
        spec: the graph that it runs.
        options: how to run it.

    Raises:
        BackendUnavailableError: the plan is for another version or GPU, or is not this graph's.
    """

    def __init__(self, trt: Any, plan: bytes, spec: GraphSpec, options: ContextOptions) -> None:
        self._spec = spec
        self._logger = collecting_logger(trt)
        self._runtime, self._engine = open_plan(trt, self._logger, plan, spec)
        self._cache: KernelCache | None = None
        self._context = self._make_context(trt, plan, options)
        if self._context is None:
            problem = f"cannot be prepared for this GPU: {what_went_wrong(self._logger)}"
            raise BackendUnavailableError(f"engine of the graph {spec.name}", problem, REMEDY)
        self._execute = self._context.execute_async_v3

    def bind(self, tensor: str, address: int) -> None:
        """Say where a tensor is on the device."""
        self._must(self._context.set_tensor_address(tensor, address), f"does not take the address of {tensor}")

    def set_batch(self, size: int) -> None:
        """Say how many images the following runs are about."""
        tensor = self._spec.input
        self._must(
            self._context.set_input_shape(tensor.name, (size, *tensor.shape)), f"does not take a batch of {size}"
        )

    def enqueue(self, stream: int) -> str | None:
        """Queue one run on a stream; None, or what TensorRT has against it."""
        return None if self._execute(stream) else what_went_wrong(self._logger)

    def keep_kernels(self) -> None:
        """Keep the compiled kernels, if a folder was given for them and can be written to."""
        if self._cache is not None:
            self._cache.keep()

    def close(self) -> None:
        """Keep the compiled kernels, and free the engine."""
        try:
            self.keep_kernels()
        finally:
            # Each lives in the one after it.
            del self._execute, self._context, self._cache, self._engine, self._runtime

    def _make_context(self, trt: Any, plan: bytes, options: ContextOptions) -> Any:
        if options == ContextOptions():
            return self._engine.create_execution_context()
        config = self._engine.create_runtime_config()
        if options.cuda_graphs:
            config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        if options.eager_kernels:
            eager = trt.DynamicShapesKernelSpecializationStrategy.EAGER
            config.dynamic_shapes_kernel_specialization_strategy = eager
        if options.runtime_cache is not None:
            self._cache = KernelCache(config.create_runtime_cache(), options.runtime_cache, self._spec.name, plan)
            config.set_runtime_cache(self._cache.cache)
        return self._engine.create_execution_context(config)

    def _must(self, done: bool, problem: str) -> None:
        if not done:
            subject = f"engine of the graph {self._spec.name}"
            raise DaenrError(subject, f"{problem}: {what_went_wrong(self._logger)}", "export the bundle again")
