"""A serialised engine, a plan, on the way to its GPU: why it cannot be opened, and whether it is the right one."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

from daenr_common.errors import BackendUnavailableError
from daenr_export.specs import GraphSpec, TensorSpec
from daenr_export.tensorrt.messages import what_went_wrong
from daenr_export.tensorrt.network import numpy_name

MALFORMED = "MALFORMED_ENGINE"
REMEDY = "export the bundle again with the TensorRT of this machine, or choose a backend that runs ONNX"


class PlanRefusedError(BackendUnavailableError):
    """TensorRT does not open a plan on this machine.

    Attributes:
        diagnostics: what TensorRT-RTX has against it, by its own names, e.g. `VERSION_MISMATCH`; Enterprise names none.
    """

    def __init__(self, subject: str, problem: str, diagnostics: tuple[str, ...] = ()) -> None:
        super().__init__(subject, problem, REMEDY)
        self.diagnostics = diagnostics

    def __reduce__(self) -> tuple[type[PlanRefusedError], tuple[str, str, tuple[str, ...]]]:  # type: ignore[override]
        return type(self), (self.subject, self.problem, self.diagnostics)


def open_plan(trt: ModuleType, logger: Any, plan: bytes, graph: GraphSpec) -> tuple[Any, Any]:
    """Deserialise a plan on the GPU. It is machine code: only give one whose hash has been checked.

    Args:
        trt: the module of the flavour.
        logger: see `collecting_logger`; it must outlive what is returned.
        plan: the serialised engine.
        graph: what it must run.

    Returns:
        The runtime and the engine; the runtime must outlive the engine.

    Raises:
        PlanRefusedError: it is for another version or GPU, or is not a plan; TensorRT's diagnostics are named.
        BackendUnavailableError: its inputs, outputs or batch range are not the graph's.
    """
    subject = f"engine of the graph {graph.name}"
    runtime = trt.Runtime(logger)
    if diagnostics := _diagnostics(trt, runtime, plan):
        problem = f"is refused by TensorRT {trt.__version__}: {', '.join(diagnostics)}"
        raise PlanRefusedError(subject, problem, diagnostics)
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        problem = f"is refused by TensorRT {trt.__version__}: {what_went_wrong(logger)}"
        raise PlanRefusedError(subject, problem)
    if wrong := list(_differences(trt, engine, graph)):
        raise BackendUnavailableError(subject, f"has {'; '.join(wrong)}", REMEDY)
    return runtime, engine


def _diagnostics(trt: ModuleType, runtime: Any, plan: bytes) -> tuple[str, ...]:
    """The names of the bits that TensorRT-RTX sets against a plan; empty for Enterprise, which has no such check."""
    if not hasattr(runtime, "get_engine_validity"):
        return ()
    validity, bits = runtime.get_engine_validity(plan)
    if validity != trt.EngineValidity.INVALID:
        return ()
    members = trt.EngineInvalidityDiagnostics.__members__
    return tuple(name for name, member in members.items() if int(bits) & int(member))


def _differences(trt: ModuleType, engine: Any, graph: GraphSpec) -> Iterator[str]:
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    outputs = sorted(set(names) - set(inputs))
    if inputs != [graph.input.name] or outputs != sorted(spec.name for spec in graph.outputs):
        yield f"the inputs {inputs} and outputs {outputs}"
        return
    for spec in (graph.input, *graph.outputs):
        yield from _difference(engine, spec)
    smallest, _, largest = (shape[0] for shape in engine.get_tensor_profile_shape(graph.input.name, 0))
    if smallest > graph.batch.min or largest < graph.batch.max:
        yield f"a profile for batches of {smallest} to {largest} instead of {graph.batch.min} to {graph.batch.max}"


def _difference(engine: Any, spec: TensorSpec) -> Iterator[str]:
    has = (numpy_name(engine.get_tensor_dtype(spec.name)), *engine.get_tensor_shape(spec.name)[1:])
    if has != (spec.dtype, *spec.shape):
        yield f"{spec.name} {has} instead of {(spec.dtype, *spec.shape)}"
