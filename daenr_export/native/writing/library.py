"""All files that a library is compiled from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources

from daenr_export.native.planning.layers import padded
from daenr_export.native.planning.plan import make_plan
from daenr_export.native.reading.operations import Network
from daenr_export.native.targets import InstructionSet, Shorter
from daenr_export.native.writing.header import Description, make_golden, write_header
from daenr_export.native.writing.packing import Constants
from daenr_export.native.writing.run import write_run
from daenr_export.native.writing.writer import Writer
from daenr_export.specs import Array

KERNELS = (
    "daenr_native.h", "vectors.h", "activations.h", "convolution.h", "matrix.h", "winograd.h", "overlap.h",
    "readout.h", "moving.h", "run.h", "library.c",
)  # fmt: skip
"""The C that is the same for every graph; package data in `c/`."""


def write_library(
    network: Network,
    about: Description,
    machines: Sequence[InstructionSet],
    golden_input: Array,
    golden_outputs: Mapping[str, Array],
    shorter: Mapping[str, Shorter] | None = None,
) -> dict[str, bytes]:
    """The files by name; the same arguments give the same bytes.

    Args:
        network: the graph.
        about: what it says of itself.
        machines: instruction sets to write code for.
        golden_input: images of the self-test, `(n, *input)`.
        golden_outputs: their answers, by name.
        shorter: what is multiplied for some values, by their names (see `planning.plan`).
    """
    plan, constants = make_plan(network, about.max_batch, shorter), Constants()
    texts, scratch = {}, 0
    for machine in machines:
        texts[f"run_{machine.name}.c"], needed = write_run(plan, Writer(machine, constants))
        scratch = max(scratch, needed)
    weights, golden = constants.content(), make_golden(network, golden_input, golden_outputs)
    state = 4 * (plan.arena + padded(scratch))
    texts["graph.h"] = write_header(network, about, machines, weights, golden, state)
    files = {name: text.encode() for name, text in texts.items()}
    files |= {name: kernel_source(name) for name in KERNELS}
    return files | {
        "weights.bin": weights,
        "golden_input.bin": golden.input,
        "golden_outputs.bin": golden.answers,
    }


def kernel_source(name: str) -> bytes:
    """A file of `c/`."""
    return resources.files("daenr_export.native").joinpath("c", name).read_bytes()
