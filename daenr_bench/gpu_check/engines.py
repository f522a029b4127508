"""Do the engines of a bundle open here and answer as the checkpoint did, as they are and as CUDA graphs?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from daenr_bench.gpu_check.parts import Checkup, Finding
from daenr_bench.peers.registry import make
from daenr_common.errors import BackendUnavailableError
from daenr_common.verdict import Verdict
from daenr_export.bundle import Bundle
from daenr_export.bundle.golden import Golden
from daenr_export.graphs.names import in_order
from daenr_export.runtime.availability import why_not
from daenr_export.runtime.protocol import Backend
from daenr_export.tensorrt.flavour import FLAVOURS
from daenr_export.verification.parity import from_manifest
from daenr_export.verification.runs import Run, Witness, run_graph
from daenr_export.verification.verify import verify

ON_A_GPU = (*FLAVOURS, "onnxruntime-cuda", "onnxruntime-tensorrt", "onnxruntime-rtx")
"""Backends of the runtime that need one."""

AS_CUDA_GRAPHS = ("trtexec", "trtexec-rtx")
"""Peers that run the bundle's engines as CUDA graphs, one for each flavour."""


def check_engines(checkup: Checkup, bundle: Bundle, file: str) -> Finding:
    """Verify a bundle on everything that runs here. Without a backend on the GPU that proves nothing new."""
    report = verify(bundle.path)
    checkup.write(file, report.json_text())
    on_gpu = {run.backend for run in report.runs if run.backend in ON_A_GPU}
    if report.verdict is Verdict.FAIL:
        wrong = [check for check in (*report.checks, *(run.check for run in report.runs)) if _failed(check.verdict)]
        return Verdict.FAIL, "; ".join(f"{check.subject}: {check.reason}" for check in wrong)
    if not on_gpu:
        reasons = [
            f"{check.subject}: {check.reason}"
            for check in report.checks
            if check.verdict is Verdict.CANNOT_TELL and check.subject.partition(" / ")[0] in ON_A_GPU
        ]
        return Verdict.CANNOT_TELL, "nothing ran on the GPU; " + "; ".join(reasons)
    runs = [run for run in report.runs if run.backend in on_gpu]
    return Verdict.PASS, f"{len(runs)} runs match on {', '.join(sorted(on_gpu))}; {_worst(runs)}"


def check_cuda_graphs(checkup: Checkup, bundle: Bundle, file: str) -> Finding:
    """Run the engines as CUDA graphs, all graphs at several batch sizes."""
    runs: list[Run] = []
    not_run: dict[str, str] = {}
    for name in AS_CUDA_GRAPHS:
        peer = make(name, None)
        if reason := why_not(peer):
            not_run[name] = reason
            continue
        for found in _runs(bundle, peer, not_run):
            runs += found
    document: dict[str, Any] = {"runs": [run.to_json() for run in runs], "not_run": not_run}
    checkup.write(file, json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    if wrong := [run.check for run in runs if _failed(run.verdict)]:
        return Verdict.FAIL, "; ".join(f"{check.subject}: {check.reason}" for check in wrong)
    if not runs:
        return Verdict.CANNOT_TELL, "; ".join(f"{name}: {reason}" for name, reason in not_run.items())
    return Verdict.PASS, f"{len(runs)} runs match on {', '.join(sorted({run.backend for run in runs}))}; {_worst(runs)}"


def _runs(bundle: Bundle, backend: Backend, not_run: dict[str, str]) -> Iterator[list[Run]]:
    manifest = bundle.manifest
    golden = Golden(bundle.golden(), bundle.path / manifest.golden.file)
    tolerance_of = partial(from_manifest, manifest.tolerances)
    for name in in_order(manifest.graphs):
        graph = Witness(bundle.graph(name), manifest)
        try:
            yield run_graph(backend, graph, golden, tolerance_of)
        except BackendUnavailableError as error:
            not_run[f"{backend.name} / {name}"] = str(error)


def _failed(verdict: Verdict) -> bool:
    return verdict is Verdict.FAIL


def _worst(runs: list[Run]) -> str:
    errors = [error for run in runs if (error := run.worst("max_error_over_scale")) is not None]
    return f"largest error {max(errors):.1e} of scale" if errors else "no error was measured"
