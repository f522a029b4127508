"""A bundle's manifest for people."""

from __future__ import annotations

from collections.abc import Iterable

import click

from daenr_common.cli import print_table
from daenr_export.bundle import Manifest
from daenr_export.graphs.names import in_order
from daenr_export.report import NONE, print_contract, print_graphs, size
from daenr_export.specs import TensorSpec


def print_manifest(manifest: Manifest) -> None:
    """Print everything that a rig must know of a bundle."""
    print_table(["model", manifest.model.name], _facts(manifest))
    click.echo()
    headers = ["graph", "in", "out", "batch", "opset", "variants"]
    print_table(headers, _shapes(manifest))
    click.echo()
    print_graphs(manifest)
    print_contract(manifest)
    click.echo()
    print_table(["tolerance", ""], [(name, f"{value:g}") for name, value in manifest.tolerances.items()])
    click.echo()
    print_table(["made with", ""], manifest.tools.items())


def _facts(manifest: Manifest) -> Iterable[tuple[str, str]]:
    checkpoint, recording = manifest.checkpoint, manifest.checkpoint.recording
    ids = manifest.neuron_ids
    yield "neurons", f"{len(ids)}: {ids[0]} … {ids[-1]}" if ids else NONE
    yield "input", manifest.preprocessing.description
    yield "precision", manifest.precision_requested
    yield "checkpoint", f"{checkpoint.file}, sha256 {checkpoint.sha256[:16]}…, seed {checkpoint.seed}"
    yield "recording", f"{recording.region} of {recording.source}, fingerprint {recording.fingerprint[:16]}…"
    for name, value in checkpoint.metrics.items():
        if isinstance(value, int | float):
            yield f"metric {name}", f"{value:.4g}"
    yield "golden", f"{manifest.golden.images} images"
    yield "files", f"{len(manifest.files)}, {size(sum(file.bytes for file in manifest.files.values()))}"
    yield "manifest", f"schema version {manifest.schema_version}, sha256 {manifest.sha256[:16]}…"


def _shapes(manifest: Manifest) -> Iterable[list[str]]:
    for name in in_order(manifest.graphs):
        graph = manifest.graphs[name]
        outputs = ", ".join(_tensor(output) for output in graph.outputs)
        batch = f"{graph.batch.min}…{graph.batch.max}, tuned for {graph.batch.opt}"
        yield [name, _tensor(graph.input), outputs, batch, str(graph.opset), ", ".join(graph.variants) or NONE]


def _tensor(tensor: TensorSpec) -> str:
    return f"{tensor.name} {tensor.dtype} ({', '.join(['B', *map(str, tensor.shape)])})"
