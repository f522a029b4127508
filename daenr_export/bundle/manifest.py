"""The manifest: everything about a bundle that a rig must know. Each class here is one object of `manifest.json`."""

from typing import Any, NamedTuple

from daenr_export.specs import BatchRange, GraphSpec, TensorSpec

SCHEMA_VERSION = 1


class ModelEntry(NamedTuple):
    """What was exported: the model's name, e.g. `cae-fr2`, and its full specification."""

    name: str
    spec: dict[str, Any]


class RecordingEntry(NamedTuple):
    """The recording that the model was fitted to."""

    fingerprint: str
    region: str
    source: str
    split_fingerprint: str = ""


class CheckpointEntry(NamedTuple):
    """The checkpoint that the bundle was made from, and a summary of its training."""

    file: str
    sha256: str
    format_version: int
    seed: int
    recording: RecordingEntry
    metrics: dict[str, Any]
    training: dict[str, Any]


class Preprocessing(NamedTuple):
    """How pixels become the graph's input: `image = pixel * scale + offset` maps 0…255 to [-1, 1].

    Attributes:
        description: the same in words, for who writes the rig's side.
        input_dtype: `float32`: the rig scales; `uint8`: the graph does.
        scale: factor.
        offset: addend.
    """

    description: str
    input_dtype: str
    scale: float = 1 / 127.5
    offset: float = -1.0


class Parity(NamedTuple):
    """How far one output of a graph was from the PyTorch model's on the golden images.

    Attributes:
        output: name of the output.
        batch: batch size of the comparison.
        max_error_over_scale: largest absolute error over the largest absolute reference value.
        relative_rms: RMS of the error over the RMS of the reference.
        tolerance: what `max_error_over_scale` had to stay below.
        evaluator: what ran the graph, e.g. `onnxruntime 1.32.0`.
        precision: of the variant that was run.
    """

    output: str
    batch: int
    max_error_over_scale: float
    relative_rms: float
    tolerance: float
    evaluator: str
    precision: str = "fp32"


class ContractEntry(NamedTuple):
    """What numbers that are shorter than float32 cost, and where they had to be given up.

    Attributes:
        layers: the precision of each layer that had a choice, by name.
        kept: margins that hold, a sentence for each.
        not_measured: margins that nothing could be said of, and why.
        fallbacks: layers that were given longer numbers, and what had broken the contract.
    """

    layers: dict[str, str]
    kept: tuple[str, ...]
    not_measured: tuple[str, ...]
    fallbacks: tuple[str, ...]


class GraphEntry(NamedTuple):
    """One ONNX graph: its file, what goes in and comes out, its typed variants and what they cost, by precision."""

    file: str
    input: TensorSpec
    outputs: tuple[TensorSpec, ...]
    batch: BatchRange
    opset: int
    variants: dict[str, str]
    parity: tuple[Parity, ...]
    contracts: dict[str, ContractEntry]


class EngineEntry(NamedTuple):
    """One TensorRT engine: the graph it runs, the exact version that reads it, and the precision it really has."""

    graph: str
    file: str
    flavour: str
    tensorrt_version: str
    precision_requested: str
    precision_actual: str
    compute_capabilities: tuple[str, ...]
    batch: BatchRange
    build_seconds: float


class NativeEntry(NamedTuple):
    """One library of compiled C: the graph it runs, the machines it is for, and the precision it really has.

    Attributes:
        graph: its name.
        file: the library.
        target: processor and system, e.g. `x86_64-linux`.
        instruction_sets: that it has code for; the best that the processor has is chosen when it is loaded.
        abi: version of the interface in `native/daenr_native.h`.
        precision_requested: what the export asked for.
        precision_actual: the shortest numbers that it multiplies.
        compiler: name and version.
        build_seconds: for generating and compiling it.
        contract: what shorter numbers cost; None where float32 was asked for.
    """

    graph: str
    file: str
    target: str
    instruction_sets: tuple[str, ...]
    abi: int
    precision_requested: str
    precision_actual: str
    compiler: str
    build_seconds: float
    contract: ContractEntry | None = None


class ArrayEntry(NamedTuple):
    """Dtype and shape of an array of the golden file."""

    dtype: str
    shape: tuple[int, ...]


class GoldenEntry(NamedTuple):
    """The golden file: inputs, and what the PyTorch model answered to them."""

    file: str
    images: int
    arrays: dict[str, ArrayEntry]


class FileEntry(NamedTuple):
    """Digest and size in bytes of a file."""

    sha256: str
    bytes: int


class Manifest(NamedTuple):
    """The content of `manifest.json`. `files` and `sha256` are filled in when the bundle is written.

    Attributes:
        model: what was exported.
        checkpoint: what it was exported from.
        neuron_ids: one for each column of the responses; empty for a model without a readout.
        preprocessing: from pixels to the graphs' input.
        precision_requested: what the export asked for; each engine says what it got.
        graphs: by name: `encoder`, `decoder`, `readout`, `responses`, `reconstruction`, `joint`.
        engines: none, or several for each graph.
        natives: compiled C; none, or one for each graph and target.
        golden: reference inputs and outputs.
        tolerances: by name, as the bundle is verified with.
        tools: versions of what made the bundle, by package.
        files: every file of the bundle but the manifest, by path.
        schema_version: of this layout.
        sha256: digest of the manifest with this field empty.
    """

    model: ModelEntry
    checkpoint: CheckpointEntry
    neuron_ids: tuple[str, ...]
    preprocessing: Preprocessing
    precision_requested: str
    graphs: dict[str, GraphEntry]
    engines: tuple[EngineEntry, ...]
    golden: GoldenEntry
    tolerances: dict[str, float]
    tools: dict[str, str]
    natives: tuple[NativeEntry, ...]
    files: dict[str, FileEntry]
    schema_version: int = SCHEMA_VERSION
    sha256: str = ""

    def engine_precision(self, graph: str, flavour: str) -> str:
        """What the engine of a graph computes in; where there is none, what it would have been asked for."""
        mine = (e.precision_requested for e in self.engines if (e.graph, e.flavour) == (graph, flavour))
        return next(mine, self.precision_requested)

    def native_precision(self, graph: str, target: str) -> str:
        """The shortest numbers that the library of a graph multiplies on a kind of machine."""
        mine = (native.precision_actual for native in self.natives if (native.graph, native.target) == (graph, target))
        return next(mine, "fp32")

    @property
    def precisions(self) -> tuple[str, ...]:
        """All precisions in which the bundle answers."""
        variants = [precision for graph in self.graphs.values() for precision in graph.variants]
        engines = [engine.precision_requested for engine in self.engines]
        natives = [native.precision_actual for native in self.natives]
        return tuple(dict.fromkeys(["fp32", *variants, *engines, *natives]))

    def graph_spec(self, name: str) -> GraphSpec:
        """Input, outputs and batch range of a graph."""
        entry = self.graphs[name]
        return GraphSpec(name, entry.input, entry.outputs, entry.batch)
