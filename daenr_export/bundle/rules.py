"""What a manifest must satisfy beyond the types of its fields: names that resolve, ranges in order, safe paths."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from daenr_common.strict_json import FieldError
from daenr_export.bundle.manifest import ContractEntry, EngineEntry, GraphEntry, Manifest, NativeEntry
from daenr_export.bundle.paths import why_unsafe
from daenr_export.native.targets import TARGETS
from daenr_export.specs import BatchRange, TensorSpec

DTYPES = ("float32", "float16", "uint8", "int32", "int64")
PRECISIONS = ("fp32", "tf32", "bf16", "fp16", "int8")
REQUESTS = (*PRECISIONS, "auto")
FLAVOURS = ("tensorrt-rtx", "tensorrt")
MAX_BATCH = 65_536
"""More than any rig answers at once. What opens a bundle takes memory for its largest batch, so there is a bound."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


def check(manifest: Manifest) -> None:
    """Raise FieldError for the first rule that the manifest breaks."""
    _check_files(manifest)
    _one_of(manifest.precision_requested, REQUESTS, "precision_requested")
    _one_of(manifest.preprocessing.input_dtype, ("float32", "uint8"), "preprocessing.input_dtype")
    for name, graph in manifest.graphs.items():
        _check_graph(graph, f"graphs.{name}", manifest)
    if not manifest.graphs:
        raise FieldError("graphs", "is empty, expected at least one graph")
    _check_each_once(manifest)
    for index, engine in enumerate(manifest.engines):
        _check_engine(engine, f"engines[{index}]", manifest)
    for index, native in enumerate(manifest.natives):
        _check_native(native, f"natives[{index}]", manifest)
    _positive(manifest.golden.images, "golden.images")
    for field, file in _references(manifest):
        if file not in manifest.files:
            raise FieldError(field, f"names {file!r}, which is not listed in files")


def _check_files(manifest: Manifest) -> None:
    for path, entry in manifest.files.items():
        if problem := why_unsafe(path):
            raise FieldError(f"files.{path}", problem)
        if not _DIGEST.fullmatch(entry.sha256):
            raise FieldError(f"files.{path}.sha256", "is not 64 hexadecimal digits")
        if entry.bytes < 0:
            raise FieldError(f"files.{path}.bytes", f"is {entry.bytes}, expected 0 or more")


def _check_graph(graph: GraphEntry, where: str, manifest: Manifest) -> None:
    _check_tensor(graph.input, f"{where}.input")
    for index, output in enumerate(graph.outputs):
        _check_tensor(output, f"{where}.outputs[{index}]")
        if output.name == "responses" and output.shape != (len(manifest.neuron_ids),):
            problem = f"is {list(output.shape)}, but there are {len(manifest.neuron_ids)} neuron_ids"
            raise FieldError(f"{where}.outputs[{index}].shape", problem)
    names = [output.name for output in graph.outputs]
    if not names or len(set(names)) < len(names):
        raise FieldError(f"{where}.outputs", f"has the names {names}, expected one or more, each once")
    _check_batch(graph.batch, f"{where}.batch")
    _positive(graph.opset, f"{where}.opset")
    for precision in graph.variants:
        _one_of(precision, PRECISIONS, f"{where}.variants")
    for precision, contract in graph.contracts.items():
        _one_of(precision, PRECISIONS, f"{where}.contracts")
        _check_contract(contract, f"{where}.contracts.{precision}")
    for index, parity in enumerate(graph.parity):
        _one_of(parity.output, names, f"{where}.parity[{index}].output")
        _one_of(parity.precision, PRECISIONS, f"{where}.parity[{index}].precision")
        _positive(parity.batch, f"{where}.parity[{index}].batch")


def _check_contract(contract: ContractEntry, where: str) -> None:
    for layer, precision in contract.layers.items():
        _one_of(precision, PRECISIONS, f"{where}.layers.{layer}")


def _check_each_once(manifest: Manifest) -> None:
    """What a backend picks by must pick one: flavour or target, graph and precision."""
    seen: set[tuple[str, str, str]] = set()
    engines = [(f"engines[{i}]", e.flavour, e.graph, e.precision_requested) for i, e in enumerate(manifest.engines)]
    natives = [(f"natives[{i}]", n.target, n.graph, n.precision_requested) for i, n in enumerate(manifest.natives)]
    for where, *names in (*engines, *natives):
        key = (names[0], names[1], names[2])
        if key in seen:
            raise FieldError(where, f"repeats the {' '.join(key)} engine")
        seen.add(key)


def _check_engine(engine: EngineEntry, where: str, manifest: Manifest) -> None:
    _one_of(engine.graph, manifest.graphs, f"{where}.graph")
    _one_of(engine.flavour, FLAVOURS, f"{where}.flavour")
    _one_of(engine.precision_requested, PRECISIONS, f"{where}.precision_requested")
    _one_of(engine.precision_actual, PRECISIONS, f"{where}.precision_actual")
    _check_batch(engine.batch, f"{where}.batch")


def _check_native(native: NativeEntry, where: str, manifest: Manifest) -> None:
    _one_of(native.graph, manifest.graphs, f"{where}.graph")
    _one_of(native.target, TARGETS, f"{where}.target")
    _one_of(native.precision_requested, REQUESTS, f"{where}.precision_requested")
    _one_of(native.precision_actual, PRECISIONS, f"{where}.precision_actual")
    if native.contract:
        _check_contract(native.contract, f"{where}.contract")
    _positive(native.abi, f"{where}.abi")
    if not native.instruction_sets:
        raise FieldError(f"{where}.instruction_sets", "is empty, expected one or more")


def _references(manifest: Manifest) -> Iterator[tuple[str, str]]:
    for name, graph in manifest.graphs.items():
        yield f"graphs.{name}.file", graph.file
        for precision, file in graph.variants.items():
            yield f"graphs.{name}.variants.{precision}", file
    for index, engine in enumerate(manifest.engines):
        yield f"engines[{index}].file", engine.file
    for index, native in enumerate(manifest.natives):
        yield f"natives[{index}].file", native.file
    yield "golden.file", manifest.golden.file


def _check_tensor(tensor: TensorSpec, where: str) -> None:
    if not tensor.name:
        raise FieldError(f"{where}.name", "is empty")
    _one_of(tensor.dtype, DTYPES, f"{where}.dtype")
    for index, size in enumerate(tensor.shape):
        _positive(size, f"{where}.shape[{index}]")


def _check_batch(batch: BatchRange, where: str) -> None:
    if not 1 <= batch.min <= batch.opt <= batch.max <= MAX_BATCH:
        found = f"min {batch.min}, opt {batch.opt}, max {batch.max}"
        problem = f"is {found}, expected 1 <= min <= opt <= max <= {MAX_BATCH}"
        raise FieldError(where, problem)


def _positive(number: int, where: str) -> None:
    if number < 1:
        raise FieldError(where, f"is {number}, expected 1 or more")


def _one_of(value: str, known: Iterable[str], where: str) -> None:
    names = list(known)
    if value not in names:
        raise FieldError(where, f"is {value!r}, expected one of {', '.join(names)}")
