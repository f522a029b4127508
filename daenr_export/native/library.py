"""An ONNX graph as a shared library that needs nothing else."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from daenr_common.errors import ExportError
from daenr_common.files import atomic_file
from daenr_common.hashing import sha256_of
from daenr_export.native.compiling import compile_library, compiler_version
from daenr_export.native.planning.plan import Shortenable, can_be_shorter, make_plan
from daenr_export.native.reading.graph import read_network
from daenr_export.native.reading.operations import Network
from daenr_export.native.targets import InstructionSet, Shorter, Target, find_target
from daenr_export.native.writing.header import Description
from daenr_export.native.writing.library import write_library
from daenr_export.specs import Array

PRECISIONS = ("fp32", "bf16", "int8")


@dataclass(frozen=True)
class NativeLibrary:
    """A library that was made.

    Attributes:
        path: of the file.
        target: name of the machine that it runs on.
        instruction_sets: that it holds, the best first.
        bytes: its size.
        seconds: that making it took.
        compiler: name and version.
    """

    path: Path
    target: str
    instruction_sets: tuple[str, ...]
    bytes: int
    seconds: float
    compiler: str


def make_library(
    onnx: Path | bytes,
    *,
    graph_name: str,
    precision: str,
    target: str,
    golden_input: Array,
    golden_outputs: Mapping[str, Array],
    max_batch: int,
    destination: Path,
    layers: Mapping[str, str] | None = None,
    instruction_sets: tuple[str, ...] | None = None,
    compiler_options: Sequence[str] = (),
) -> NativeLibrary:
    """Compile a graph; its file appears at its final path complete or not at all.

    Args:
        onnx: the serialised graph, or where it is.
        graph_name: that the library gives itself, e.g. `responses`.
        precision: one of `PRECISIONS`; bf16 and int8 are what the instruction sets of `Target.multiplying` multiply,
            while all that others compute stays float32.
        target: one of `TARGETS`.
        golden_input: images `(n, *input)` for the self-test, n at most `max_batch`.
        golden_outputs: what the model answers them, by the names of the outputs.
        max_batch: largest batch.
        destination: the file to write.
        layers: what single layers are multiplied in instead, by the names that `layers_of` gives.
        instruction_sets: to compile for, by name; None: all of the target.
        compiler_options: for the C compiler, besides those that it is always given.

    Raises:
        ExportError: the graph is not covered, the golden arrays do not fit it, or the compiler failed.
        MissingExtraError: onnx or ziglang is not installed.
        DaenrError: no such target, or the file cannot be written.
    """
    started = time.perf_counter()
    content = onnx if isinstance(onnx, bytes) else Path(onnx).read_bytes()
    machine, network = find_target(target), read_network(content)
    _check(network, precision, golden_input, golden_outputs, max_batch)
    shorter = _shorter(network, max_batch, precision, layers or {})
    machines = _choose(machine, precision, instruction_sets)
    about = Description(graph_name, precision, target, sha256_of(content), max_batch)
    files = write_library(network, about, machines, golden_input, golden_outputs, shorter)
    compiled = compile_library(files, destination.name, machines, machine, compiler_options)
    with atomic_file(destination) as path:
        path.write_bytes(compiled)
    names = tuple(item.name for item in machines)
    seconds = time.perf_counter() - started
    return NativeLibrary(destination, target, names, len(compiled), seconds, compiler_version())


def layers_of(content: bytes, max_batch: int) -> dict[str, Shortenable]:
    """The layers that need not multiply float32, in order, by what each is called.

    Args:
        content: the serialised graph.
        max_batch: largest batch.

    Raises:
        ExportError: the graph is not covered.
        MissingExtraError: onnx is not installed.
    """
    return can_be_shorter(make_plan(read_network(content), max_batch))


def _shorter(network: Network, max_batch: int, precision: str, layers: Mapping[str, str]) -> dict[str, Shorter]:
    if precision == "fp32" and not layers:
        return {}
    able = can_be_shorter(make_plan(network, max_batch))
    if unknown := sorted(set(layers) - set(able)) or sorted(set(layers.values()) - set(PRECISIONS)):
        names = ", ".join(able) or "none"
        raise ExportError(
            f"layers {', '.join(unknown)}", "cannot be chosen", f"choose of {names}, {', '.join(PRECISIONS)}"
        )
    if precision == "fp32" and set(layers.values()) - {"fp32"}:
        raise ExportError("precision fp32", "is that of a library with shorter layers", "name the shortest of them")
    wanted = {name: layer.at(precision) for name, layer in able.items()} | dict(layers)
    return {name: cast("Shorter", numbers) for name, numbers in wanted.items() if numbers != "fp32"}


def _choose(target: Target, precision: str, names: tuple[str, ...] | None) -> tuple[InstructionSet, ...]:
    available = target.of_precision(precision)
    if names is None:
        return available
    chosen = tuple(item for item in available if item.name in names)
    if len(chosen) != len(names):
        known = ", ".join(item.name for item in available)
        raise ExportError(
            f"target {target.name}", f"has the instruction sets {known}, not {', '.join(names)}", "choose of these"
        )
    return chosen


def _check(
    network: Network, precision: str, golden_input: Array, golden_outputs: Mapping[str, Array], max_batch: int
) -> None:
    if precision not in PRECISIONS:
        raise ExportError(f"precision {precision}", "is none of native code", f"choose one of {', '.join(PRECISIONS)}")
    if not 1 <= len(golden_input) <= max_batch:
        raise ExportError("golden images", f"are {len(golden_input)}, expected 1 to {max_batch}", "export again")
    wanted = {spec.name: (len(golden_input), *spec.shape) for spec in network.outputs}
    found = {name: np.shape(golden_outputs.get(name, ())) for name in wanted}
    if golden_input.shape[1:] != network.input.shape or found != wanted:
        shapes = f"{golden_input.shape[1:]} → {found}"
        raise ExportError(
            "golden images", f"have the shapes {shapes}, expected {network.input.shape} → {wanted}", "export again"
        )
