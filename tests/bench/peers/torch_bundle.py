"""Bundles of a checkpoint without its ONNX graphs, for the peers that run the checkpoint itself. Needs torch."""

from __future__ import annotations

from pathlib import Path

import bundle_factory as factory

from daenr_export.bundle import GraphEntry
from daenr_export.bundle.writer import write_bundle
from daenr_export.graphs.names import cuts_of
from daenr_export.graphs.pixels import Pixels
from daenr_export.graphs.reference import make_golden
from daenr_export.specs import BatchRange, TensorSpec
from daenr_export.verification.parity import to_manifest
from daenr_train.checkpoint import load_checkpoint

PIXELS = Pixels(1 / 127.5, -1.0)


def make_bundle_for_torch(path: Path, checkpoint_path: Path, input_dtype: str = "float32") -> Path:
    """A bundle of a checkpoint in all but its ONNX graphs, which PyTorch does not read."""
    checkpoint = load_checkpoint(checkpoint_path)
    pixels = PIXELS if input_dtype == "uint8" else None
    golden = make_golden(checkpoint.model(), checkpoint.example_images, pixels)
    cuts = cuts_of(checkpoint.spec)
    with write_bundle(path) as writer:
        for name in cuts:
            writer.add(f"graphs/{name}.onnx", b"not read")
        manifest = factory.manifest_of(["encoder"], writer.add_golden(golden, images=len(golden["image"])))

        def tensor(name: str, key: str) -> TensorSpec:
            return TensorSpec(name, str(golden[key].dtype), golden[key].shape[1:])

        graphs = {
            name: GraphEntry(
                file=f"graphs/{name}.onnx",
                input=tensor(cut.input, "image" if cut.input == "image" else "encoder.features"),
                outputs=tuple(tensor(output, f"{name}.{output}") for output in cut.outputs),
                batch=BatchRange(1, 1, 8),
                opset=20,
                variants={},
                parity=(),
                contracts={},
            )
            for name, cut in cuts.items()
        }
        entry = manifest.checkpoint._replace(file=checkpoint_path.name, sha256=checkpoint.sha256)
        neuron_ids = checkpoint.neuron_ids if checkpoint.spec.readout else ()
        manifest = manifest._replace(neuron_ids=neuron_ids, tolerances=to_manifest(["fp32"]))
        writer.finish(manifest._replace(checkpoint=entry, graphs=graphs))
    return path
