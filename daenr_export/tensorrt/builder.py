"""Builds TensorRT engines from ONNX graphs. The precision that an engine has is read off the graph, never assumed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, get_args

from daenr_common.errors import BackendUnavailableError, ExportError, SpecError
from daenr_export.specs import BatchRange, GraphSpec
from daenr_export.tensorrt.flavour import Flavour
from daenr_export.tensorrt.gpu import compute_capability, why_no_gpu
from daenr_export.tensorrt.messages import what_went_wrong
from daenr_export.tensorrt.network import ParsedGraph, differences, parse, precision_of

Precision = Literal["fp32", "tf32", "fp16", "int8"]

RTX_DEFAULT_COMPUTE_CAPABILITIES = ("8.0", "8.6", "8.9", "12.0")
"""What TensorRT-RTX builds for unless told otherwise; later ones may run too, Turing does not.

Source: TensorRT-RTX documentation, "CPU-Only AOT and TensorRT-RTX Engines".
"""


@dataclass(frozen=True)
class BuiltEngine:
    """An engine and all that a manifest says about it.

    Attributes:
        plan: the serialised engine.
        flavour: `tensorrt-rtx` or `tensorrt`.
        tensorrt_version: the exact version that built it, the only one that reads it.
        precision_requested: what was asked for.
        precision_actual: what the parsed graph has, see `network.precision_of`.
        compute_capabilities: the GPUs that it was built for.
        batch: the optimisation profile.
        build_seconds: wall time from the ONNX bytes to the plan.
    """

    plan: bytes
    flavour: str
    tensorrt_version: str
    precision_requested: Precision
    precision_actual: str
    compute_capabilities: tuple[str, ...]
    batch: BatchRange
    build_seconds: float


def build_engine(
    onnx: bytes,
    *,
    graph: GraphSpec,
    precision: Precision,
    flavour: Flavour,
    compute_capabilities: Sequence[str] = (),
) -> BuiltEngine:
    """Build an engine for the batch range of a graph.

    Precision is a property of the graph: for `fp16` give the graph whose multiplications are float16. A float32 graph
    asked for as `fp16` is built as it is and comes out with the actual precision `fp32`; the caller decides.

    Two builds of an encoder, a readout or their fusion gave the same bytes whenever it was tried, across processes too.
    With several branches most builds do, and some differ in up to 0.12 % of their bytes (TensorRT-RTX 1.7.1,
    x86-64 without a GPU); nothing that the builder can be told changes this.

    Args:
        onnx: the graph.
        graph: its name, input, outputs and batch range.
        precision: `fp32` clears the TF32 flag, which is set by default; `tf32` sets it.
        flavour: see `choose_flavour`.
        compute_capabilities: GPUs to build for, e.g. `("8.6", "8.9")`; TensorRT-RTX only, empty for its default.

    Raises:
        SpecError: no such precision, or a compute capability that the flavour cannot be told.
        MissingExtraError: the flavour is not installed.
        BackendUnavailableError: the flavour builds only where its GPU is, and there is none here.
        ExportError: TensorRT does not take the graph, or it has other inputs and outputs than `graph` says.
    """
    if precision not in get_args(Precision):
        raise SpecError(f"precision {precision}", "does not exist", f"choose {', '.join(get_args(Precision))}")
    trt = flavour.load(f"building an engine of the graph {graph.name}")
    _check_machine(flavour)
    start = time.perf_counter()
    parsed = parse(trt, onnx, graph)
    if wrong := differences(parsed, graph):
        raise ExportError(f"graph {graph.name}", f"has {'; '.join(wrong)}", "export it again from its checkpoint")
    config = configure(parsed, graph, tf32=precision == "tf32")
    targets = _target(trt, config, flavour, compute_capabilities)
    plan = _serialise(parsed, config, graph)
    return BuiltEngine(
        plan=plan,
        flavour=flavour.name,
        tensorrt_version=trt.__version__,
        precision_requested=precision,
        precision_actual=precision_of(parsed, tf32=config.get_flag(trt.BuilderFlag.TF32)),
        compute_capabilities=targets,
        batch=graph.batch,
        build_seconds=time.perf_counter() - start,
    )


MOST_BUILDS = 4


def build_usual_engine(onnx: bytes, *, graph: GraphSpec, precision: Precision, flavour: Flavour) -> BuiltEngine:
    """Build until two builds have the same size, and take the later of them; the last of `MOST_BUILDS` if no two have.

    One build in many is of another size (by 0.8 % for a float32 graph, by 8 bytes for an int8 one); kept in a bundle,
    it could not be reproduced. An engine that is built on its GPU, which times kernels, is built once.

    Args, Raises:
        As `build_engine`.
    """
    seen: list[int] = []
    while True:
        built = build_engine(onnx, graph=graph, precision=precision, flavour=flavour)
        if not flavour.builds_without_gpu or len(built.plan) in seen or len(seen) == MOST_BUILDS - 1:
            return built
        seen.append(len(built.plan))


def configure(parsed: ParsedGraph, graph: GraphSpec, *, tf32: bool) -> Any:
    """The builder's configuration: the TF32 flag and one optimisation profile.

    Raises:
        ExportError: TensorRT does not take the batch range.
    """
    flag = parsed.trt.BuilderFlag.TF32
    config = parsed.builder.create_builder_config()
    if tf32:
        config.set_flag(flag)
    else:
        config.clear_flag(flag)
    profile = parsed.builder.create_optimization_profile()
    batch, shape = graph.batch, graph.input.shape
    profile.set_shape(graph.input.name, (batch.min, *shape), (batch.opt, *shape), (batch.max, *shape))
    if config.add_optimization_profile(profile) < 0:
        problem = f"does not take batches of {batch.min} to {batch.max}, tuned for {batch.opt}"
        raise ExportError(
            f"graph {graph.name}", f"{problem}: {what_went_wrong(parsed.logger)}", "ask for 1 <= min <= opt <= max"
        )
    return config


def _check_machine(flavour: Flavour) -> None:
    if not flavour.builds_without_gpu and (reason := why_no_gpu()):
        problem = f"builds engines only where its GPU is: {reason}"
        raise BackendUnavailableError(flavour.title, problem, "build on the rig, or choose the flavour rtx")


def _target(trt: ModuleType, config: Any, flavour: Flavour, wanted: Sequence[str]) -> tuple[str, ...]:
    """Tell the builder which GPUs to build for; return them."""
    if not flavour.builds_without_gpu:
        if wanted:
            problem = f"builds for the GPU that it finds, not for {', '.join(wanted)}"
            raise SpecError(flavour.title, problem, "leave the compute capabilities out")
        return (compute_capability(),)
    if not wanted:
        return RTX_DEFAULT_COMPUTE_CAPABILITIES
    members = {f"{name[2:-1]}.{name[-1]}": member for name, member in _architectures(trt).items()}
    if unknown := [name for name in wanted if name not in members]:
        problem = f"cannot build for compute capability {', '.join(unknown)}"
        raise SpecError(flavour.title, problem, f"choose from {', '.join(members)}")
    config.num_compute_capabilities = len(wanted)
    for index, name in enumerate(wanted):
        config.set_compute_capability(members[name], index)
    return tuple(wanted)


def _architectures(trt: ModuleType) -> dict[str, Any]:
    members: dict[str, Any] = trt.ComputeCapability.__members__
    return {name: member for name, member in members.items() if name.startswith("SM")}


def _serialise(parsed: ParsedGraph, config: Any, graph: GraphSpec) -> bytes:
    plan = parsed.builder.build_serialized_network(parsed.network, config)
    if plan is None:
        problem = f"could not be built: {what_went_wrong(parsed.logger)}"
        raise ExportError(f"engine of the graph {graph.name}", problem, "deploy the ONNX graph with another backend")
    return bytes(plan)
