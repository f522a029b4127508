"""The part of TensorRT that runs engines, over the double of the CUDA driver: the same calls, computed by onnx.

What does not need a GPU is the real module (enumerations, loggers, the builder); `Runtime`, the engine and its
execution context are replaced. They hold callers to the rules of the real ones: a current CUDA context, addresses that
are aligned and on the device, a shape inside of the profile before a run, and work that happens in stream order.
"""

from __future__ import annotations

import ctypes
import json
import weakref
from types import ModuleType
from typing import Any

import numpy as np
import onnx
from cuda_double import DriverDouble
from onnx.reference import ReferenceEvaluator

ALIGNMENT = 256
MAGIC = b"plan of the double\n"
COMPUTE_CAPABILITY = "8.9"  # of the GPU that the double of the driver shows
_ELEMENTS = {"float32": "FLOAT", "float16": "HALF", "uint8": "UINT8", "int64": "INT64"}
_HOST_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def make_plan(
    model: bytes,
    *,
    version: str,
    profile: tuple[int, int, int] = (1, 1, 8),
    compute_capabilities: tuple[str, ...] = (COMPUTE_CAPABILITY,),
) -> bytes:
    """A plan that the double deserialises: what a real one knows of itself, and the ONNX graph to evaluate."""
    header = {"version": version, "profile": profile, "compute_capabilities": compute_capabilities}
    return MAGIC + json.dumps(header).encode() + b"\n" + model


class TensorRtDouble:
    """Stands for the module. What it does not define comes from the real module.

    Attributes:
        alive: runtimes, engines and execution contexts that were not freed.
        calls: names of the calls that change an execution context, in order.
        fails: names of methods that answer False (or None) from now on.
    """

    def __init__(self, real: ModuleType) -> None:
        self._real = real
        self.driver = DriverDouble()
        self.alive: weakref.WeakSet[Any] = weakref.WeakSet()
        self.calls: list[str] = []
        self.fails: set[str] = set()
        self.callbacks: list[Any] = []  # C holds no reference to what it will call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def Runtime(self, logger: Any) -> Runtime:  # noqa: N802
        return Runtime(self, logger)


class EnterpriseDouble(TensorRtDouble):
    """The same without what only TensorRT-RTX has."""

    def Runtime(self, logger: Any) -> EnterpriseRuntime:  # noqa: N802
        return EnterpriseRuntime(self, logger)


class EnterpriseRuntime:
    def __init__(self, trt: TensorRtDouble, logger: Any) -> None:
        self._trt, self._logger = trt, logger
        trt.alive.add(self)

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        if not self._trt.driver.has_context():
            return _refuse(self._trt, self._logger, "no current CUDA context", None)
        if not serialized_engine.startswith(MAGIC):
            return _refuse(self._trt, self._logger, "magicTag does not match", None)
        header, model = _parts(serialized_engine)
        if header["version"] != self._trt.__version__:
            return _refuse(self._trt, self._logger, f"version tag {header['version']} does not match", None)
        return ICudaEngine(self._trt, self._logger, tuple(header["profile"]), model)


class Runtime(EnterpriseRuntime):
    def get_engine_validity(self, buffer: bytes) -> tuple[Any, int]:
        flags = self._trt.EngineInvalidityDiagnostics
        bits = 0
        if not buffer.startswith(MAGIC):
            bits = int(flags.MALFORMED_ENGINE)
        else:
            header, _ = _parts(buffer)
            if header["version"] != self._trt.__version__:
                bits |= int(flags.VERSION_MISMATCH)
            if COMPUTE_CAPABILITY not in header["compute_capabilities"]:
                bits |= int(flags.UNSUPPORTED_CC)
        return (self._trt.EngineValidity.INVALID if bits else self._trt.EngineValidity.VALID), bits


class ICudaEngine:
    def __init__(self, trt: TensorRtDouble, logger: Any, profile: tuple[int, int, int], model: bytes) -> None:
        self._trt, self._logger, self._profile = trt, logger, profile
        graph = onnx.load_from_string(model)
        self._evaluator = ReferenceEvaluator(graph)
        self._inputs = {value.name: _described(value) for value in graph.graph.input}
        self._outputs = {value.name: _described(value) for value in graph.graph.output}
        trt.alive.add(self)

    @property
    def num_io_tensors(self) -> int:
        return len(self._inputs) + len(self._outputs)

    def get_tensor_name(self, index: int) -> str:
        return [*self._inputs, *self._outputs][index]

    def get_tensor_mode(self, name: str) -> Any:
        modes = self._trt.TensorIOMode
        return modes.INPUT if name in self._inputs else modes.OUTPUT if name in self._outputs else modes.NONE

    def get_tensor_dtype(self, name: str) -> Any:
        return getattr(self._trt.DataType, _ELEMENTS[str(self._tensor(name)[0])])

    def get_tensor_shape(self, name: str) -> Any:
        return self._trt.Dims((-1, *self._tensor(name)[1]))

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Any]:
        assert profile_index == 0
        return [self._trt.Dims((batch, *self._inputs[name][1])) for batch in self._profile]

    def create_runtime_config(self) -> IRuntimeConfig:
        return IRuntimeConfig(self._trt)

    def create_execution_context(self, runtime_config: IRuntimeConfig | None = None) -> IExecutionContext | None:
        if not self._trt.driver.has_context():
            return _refuse(self._trt, self._logger, "no current CUDA context", None)
        if "create_execution_context" in self._trt.fails:
            return _refuse(self._trt, self._logger, "out of device memory", None)
        if runtime_config is not None:
            runtime_config.compile_kernels()
        return IExecutionContext(self._trt, self._logger, self)

    def _tensor(self, name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
        return (self._inputs | self._outputs)[name]


class IRuntimeConfig:
    def __init__(self, trt: TensorRtDouble) -> None:
        self._trt = trt
        self._graphs = trt.CudaGraphStrategy.DISABLED
        self._kernels = trt.DynamicShapesKernelSpecializationStrategy.LAZY
        self._cache: IRuntimeCache | None = None

    @property
    def cuda_graph_strategy(self) -> Any:
        return self._graphs

    @cuda_graph_strategy.setter
    def cuda_graph_strategy(self, strategy: Any) -> None:
        assert isinstance(strategy, self._trt.CudaGraphStrategy)
        self._graphs = strategy

    @property
    def dynamic_shapes_kernel_specialization_strategy(self) -> Any:
        return self._kernels

    @dynamic_shapes_kernel_specialization_strategy.setter
    def dynamic_shapes_kernel_specialization_strategy(self, strategy: Any) -> None:
        assert isinstance(strategy, self._trt.DynamicShapesKernelSpecializationStrategy)
        self._kernels = strategy

    def create_runtime_cache(self) -> IRuntimeCache:
        return IRuntimeCache()

    def set_runtime_cache(self, cache: IRuntimeCache | None) -> bool:
        self._cache = cache
        return True

    def compile_kernels(self) -> None:
        self._trt.calls.append(f"compile {self._kernels.name} for {self._graphs.name}")
        if self._cache is not None:
            self._trt.calls.append("compile" if self._cache.content is None else "reuse")
            self._cache.content = b"kernels"


class IRuntimeCache:
    def __init__(self) -> None:
        self.content: bytes | None = None

    def serialize(self) -> bytes | None:
        return self.content

    def deserialize(self, blob: bytes) -> bool:
        self.content = blob if blob == b"kernels" else None
        return self.content is not None


class IExecutionContext:
    def __init__(self, trt: TensorRtDouble, logger: Any, engine: ICudaEngine) -> None:
        self._trt, self._logger, self._engine = trt, logger, engine
        self._addresses: dict[str, int] = {}
        self._batch = 0
        trt.alive.add(self)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        if name not in self._engine._inputs | self._engine._outputs:
            return _refuse(self._trt, self._logger, f"there is no tensor {name}", False)
        if memory % ALIGNMENT:
            return _refuse(self._trt, self._logger, f"the address of {name} is not aligned", False)
        self._trt.calls.append(f"address {name}")
        self._addresses[name] = memory
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        smallest, _, largest = self._engine._profile
        if "set_input_shape" in self._trt.fails or name not in self._engine._inputs:
            return _refuse(self._trt, self._logger, f"no input {name}", False)
        if tuple(shape[1:]) != self._engine._inputs[name][1] or not smallest <= shape[0] <= largest:
            return _refuse(self._trt, self._logger, f"{name} {tuple(shape)} is outside of the profile", False)
        self._trt.calls.append(f"shape {shape[0]}")
        self._batch = shape[0]
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        if problem := self._why_not():
            return _refuse(self._trt, self._logger, problem, False)
        self._trt.calls.append(f"execute {self._batch}")
        batch, alive = self._batch, weakref.ref(self)
        # A context that is freed with work in flight makes the callback fail, which pytest reports.
        callback = _HOST_FUNCTION(lambda _: alive()._compute(batch))
        self._trt.callbacks.append(callback)
        return self._trt.driver.enqueue(stream_handle, callback) == 0

    def _why_not(self) -> str | None:
        if "execute_async_v3" in self._trt.fails:
            return "an illegal memory access was encountered"
        if not self._trt.driver.has_context():
            return "no current CUDA context"
        if not self._batch:
            return "the shape of the input was not set"
        for name in self._engine._inputs | self._engine._outputs:
            if name not in self._addresses:
                return f"the address of {name} was not set"
            if not self._trt.driver.is_device_memory(self._addresses[name], self._bytes(name)):
                return f"the address of {name} does not lead to {self._bytes(name)} bytes on the device"
        return None

    def _compute(self, batch: int) -> None:
        feeds = {name: self._memory(name, batch).copy() for name in self._engine._inputs}
        for name, answer in zip(self._engine._outputs, self._engine._evaluator.run(None, feeds), strict=True):
            np.copyto(self._memory(name, batch), answer, casting="no")

    def _bytes(self, name: str) -> int:
        dtype, shape = self._engine._tensor(name)
        return self._batch * int(np.prod(shape)) * dtype.itemsize

    def _memory(self, name: str, batch: int) -> np.ndarray[Any, Any]:
        dtype, shape = self._engine._tensor(name)
        count = batch * int(np.prod(shape)) * dtype.itemsize
        octets = (ctypes.c_char * count).from_address(self._addresses[name])
        return np.frombuffer(octets, dtype).reshape(batch, *shape)


def _parts(plan: bytes) -> tuple[dict[str, Any], bytes]:
    header, _, model = plan.removeprefix(MAGIC).partition(b"\n")
    return json.loads(header), model


def _described(value: onnx.ValueInfoProto) -> tuple[np.dtype[Any], tuple[int, ...]]:
    tensor = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    return dtype, tuple(axis.dim_value for axis in tensor.shape.dim[1:])


def _refuse(trt: TensorRtDouble, logger: Any, message: str, answer: Any) -> Any:
    """Answer as TensorRT does: the reason to the logger, False or None to the caller."""
    logger.log(trt.ILogger.ERROR, message)
    return answer
