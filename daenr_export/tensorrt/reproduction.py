"""Whether an engine is what its ONNX source builds to: the nearest to running it where it cannot run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import cast

import numpy as np

from daenr_common.verdict import Verdict
from daenr_export.bundle.manifest import EngineEntry
from daenr_export.specs import GraphSpec
from daenr_export.tensorrt.builder import RTX_DEFAULT_COMPUTE_CAPABILITIES, Precision, build_engine
from daenr_export.tensorrt.flavour import FLAVOURS
from daenr_export.tensorrt.gpu import why_no_gpu

REBUILDS = 4
"""How often to build before giving up on the very same bytes; a build takes 0.1 to 0.2 s."""

VARYING = 1 / 500
"""Builds of one graph were seen to differ in up to 0.12 % of their bytes; more than this is another engine."""


def reproduce(plan: bytes, onnx: bytes, record: EngineEntry, graph: GraphSpec) -> tuple[Verdict, str]:
    """Build an engine again from its source and compare.

    The same bytes: *pass*. A size that no build has, many other bytes, or the bytes that the other setting of TF32
    gives: *fail*. A few other bytes are *cannot tell*, since two builds of a graph with several outputs can differ that
    much; that a file is the one which was exported is for its hash to say.

    Args:
        plan: the engine.
        onnx: the graph that it was built from.
        record: what the manifest says about it; its version is the one installed.
        graph: input, outputs and name.

    Raises:
        ExportError: the source does not build.
    """
    if not FLAVOURS[record.flavour].builds_without_gpu:
        return Verdict.CANNOT_TELL, "this flavour times kernels while it builds, so that no two builds are alike"
    least, sizes = len(plan), set()
    for again in _builds(onnx, record, graph, cast(Precision, record.precision_requested)):
        if again == plan:
            return Verdict.PASS, f"rebuilt from the source: the same {len(again)} bytes"
        sizes.add(len(again))
        if len(again) == len(plan):
            least = min(least, _distance(again, plan))
    if len(plan) not in sizes:
        found = " or ".join(map(str, sorted(sizes)))
        return _mismatch(record), f"it has {len(plan)} bytes, and rebuilt from the source {found}"
    reason = f"{least} of {len(plan)} bytes differ from the nearest of {REBUILDS} builds from the source"
    if least > VARYING * len(plan):
        return _mismatch(record), reason
    other: Precision = "fp32" if record.precision_requested == "tf32" else "tf32"
    if plan in _builds(onnx, record, graph, other):
        allowed = "with" if other == "tf32" else "without"
        return Verdict.FAIL, f"it is what the source builds to {allowed} TF32, which the manifest does not say"
    return Verdict.CANNOT_TELL, f"{reason}; builds of one graph can differ that much"


def _builds(onnx: bytes, record: EngineEntry, graph: GraphSpec, precision: Precision) -> Iterator[bytes]:
    targets = record.compute_capabilities
    named = () if targets == RTX_DEFAULT_COMPUTE_CAPABILITIES else targets
    recorded = GraphSpec(graph.name, graph.input, graph.outputs, record.batch)
    flavour = FLAVOURS[record.flavour]
    for _ in range(REBUILDS):
        built = build_engine(onnx, graph=recorded, precision=precision, flavour=flavour, compute_capabilities=named)
        yield built.plan


def _distance(one: bytes, other: bytes) -> int:
    """In how many bytes two plans of one size differ."""
    return int(np.count_nonzero(np.frombuffer(one, np.uint8) != np.frombuffer(other, np.uint8)))


def _mismatch(record: EngineEntry) -> Verdict:
    """That builds are alike was measured on Linux without a GPU, so that only there a difference is a failure.

    Builds of int8 graphs are not: of one encoder one in eight was of another size, and more beside other programs.
    """
    are_alike = sys.platform == "linux" and why_no_gpu() and record.precision_actual != "int8"
    return Verdict.FAIL if are_alike else Verdict.CANNOT_TELL
