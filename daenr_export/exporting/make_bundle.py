"""The making of a bundle, step by step. Needs torch; `daenr_export.exporting.export` is the way in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from daenr_common.errors import CheckpointError
from daenr_export.bundle import ContractEntry, Manifest
from daenr_export.bundle.golden import Golden
from daenr_export.bundle.writer import BundleWriter, write_bundle
from daenr_export.exporting.contract import Contract
from daenr_export.exporting.describe import describe, graph_file, pixels_of, recording_entry
from daenr_export.exporting.engines import EngineFile, build_engines
from daenr_export.exporting.measure import measure
from daenr_export.exporting.natives import HEADER_FILE, NativeFile, build_natives, header
from daenr_export.exporting.options import Options
from daenr_export.exporting.typed import hold_variants
from daenr_export.graphs.make import Graph, make_graphs
from daenr_export.graphs.pixels import Pixels, to_pixels
from daenr_export.graphs.reference import make_golden
from daenr_export.runtime.gate import RANGE_TOLERANCE
from daenr_export.specs import Array
from daenr_export.tensorrt import Flavour
from daenr_export.verification.margins import own_margins
from daenr_export.verification.recorded import find_images, recorded_responses
from daenr_export.verification.runs import OnnxGraph
from daenr_export.verification.science import HeldOut
from daenr_train.checkpoint import Checkpoint, load_checkpoint
from daenr_train.data import Recording, open_recording

Step = Callable[[str], AbstractContextManager[None]]


def make_bundle(
    checkpoint_path: Path,
    output: Path,
    options: Options,
    flavour: Flavour | None,
    step: Step,
    *,
    data: Path | None = None,
    region: str | None = None,
    force: bool,
) -> Manifest:
    """Make a bundle and put it at `output`, complete or not at all.

    Args:
        checkpoint_path: an existing file.
        output: where the bundle goes.
        options: of the export.
        flavour: of TensorRT; None for no engines.
        step: a context around each step, for progress and timing.
        data: a recording that holds the golden images, whose responses are part of the contract of shorter numbers.
        region: of it; None for the one that the model was fitted to.
        force: replace a bundle that is there.

    Raises:
        DaenrError: as `daenr_export.exporting.export`.
    """
    with step("reading the checkpoint"):
        checkpoint = load_checkpoint(checkpoint_path)
        _require_images(checkpoint, checkpoint_path)
        pixels = pixels_of(checkpoint) if options.input == "uint8" else None
        model = checkpoint.model()
    with step("tracing the model and cutting its graphs"):
        graphs = make_graphs(model, pixels=pixels, half=options.is_half)
    with step("asking PyTorch for the golden answers"):
        golden = make_golden(model, checkpoint.example_images, pixels)
        recording = None if data is None else open_recording(data, region or checkpoint.recording.region)
        contract = _contract(checkpoint, Golden(golden), pixels, data, recording, _behind(graphs, options))
    contracts: dict[str, dict[str, ContractEntry]] = {}
    if options.is_half or options.is_quantised:
        with step(f"holding {options.precision} against the contract"):
            calibration = _calibration(recording, pixels) if options.is_quantised and recording else None
            graphs, contracts = hold_variants(graphs, options, calibration, contract)
    with step("comparing the graphs with PyTorch"):
        parity = measure(graphs, contract.golden, options.batch)
    engines: Sequence[EngineFile] = ()
    if flavour is not None:
        with step(f"building {len(graphs)} {flavour.name} engines"):
            engines = build_engines(graphs.values(), flavour, options)
    natives: Sequence[NativeFile] = ()
    if options.targets:
        with step(f"compiling {len(graphs)} graphs for {', '.join(options.targets)}"):
            natives = build_natives(graphs.values(), contract, options)
    with step("writing the bundle"), write_bundle(output, force=force) as writer:
        _add_files(writer, graphs, (*engines, *natives))
        if natives:
            writer.add(HEADER_FILE, header())
        manifest = describe(
            checkpoint,
            checkpoint_path,
            options,
            graphs=graphs,
            parity=parity,
            contracts=contracts,
            engines=[engine.entry for engine in engines],
            natives=[native.entry for native in natives],
            golden=writer.add_golden(golden, images=len(golden["image"])),
        )
        return writer.finish(manifest)


def _contract(
    checkpoint: Checkpoint,
    golden: Golden,
    pixels: Pixels | None,
    data: Path | None,
    recording: Recording | None,
    behind: tuple[OnnxGraph, ...],
) -> Contract:
    """What shorter numbers are held against: golden images, and the responses that were recorded to them, if given.

    Raises:
        RecordingError: the recording has other neurons, or was shown other images.
    """
    neuron_ids = checkpoint.neuron_ids if checkpoint.spec.readout else ()
    recorded = None
    if data is not None and recording is not None:
        rounded_by, fitted = pixels.scale / 2 if pixels else 0.0, recording_entry(checkpoint)
        if neuron_ids:
            recorded = recorded_responses(data, recording, fitted, neuron_ids, golden.images, rounded_by).responses
        else:
            find_images(data, recording, fitted, golden.images, rounded_by)
    return Contract(golden, HeldOut(golden.images, neuron_ids, recorded), own_margins(), behind)


def _behind(graphs: Mapping[str, Graph], options: Options) -> tuple[OnnxGraph, ...]:
    """The graphs of features, which say what features are worth."""
    mine = [graph for name, graph in graphs.items() if name in ("readout", "decoder")]
    return tuple(OnnxGraph(graph.spec(options.batch), graph.onnx, "fp32") for graph in mine)


def _calibration(recording: Recording, pixels: Pixels | None) -> Array:
    """Images that models are fitted to, as the graphs take them."""
    return recording.images if pixels is None else to_pixels(recording.images, pixels)


def _require_images(checkpoint: Checkpoint, path: Path) -> None:
    images = checkpoint.example_images
    if images.dtype != "float32" or images.ndim != 4 or images.shape[1:] != (1, 32, 32) or not len(images):
        problem = f"has example_images of {images.dtype} {images.shape}, expected float32 (N, 1, 32, 32) with N ≥ 1"
        raise CheckpointError(path, problem, "fit the model again")
    if abs(images).max() > 1 + RANGE_TOLERANCE:
        raise CheckpointError(path, "has example_images outside of [-1, 1]", "fit the model again")


def _add_files(writer: BundleWriter, graphs: Mapping[str, Graph], compiled: Sequence[EngineFile | NativeFile]) -> None:
    for name, graph in graphs.items():
        writer.add(graph_file(name), graph.onnx)
        for precision, content in graph.variants.items():
            writer.add(graph_file(name, precision), content)
    for file in compiled:
        writer.add(file.entry.file, file.content)
