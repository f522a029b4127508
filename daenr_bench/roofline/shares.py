"""What each backend makes of the limit: its median, back to back, beside the time that the core allows."""

from __future__ import annotations

from collections.abc import Iterable

from daenr_bench.measurement import Measurement
from daenr_bench.result import Result
from daenr_bench.roofline.document import GraphRoofline, Share
from daenr_export.runtime import backend_options
from daenr_export.tensorrt.gpu import why_no_gpu

ON_THE_PROCESSOR = ("torch", "native", "onnxruntime", "openvino", "openvino-bf16")
"""Backends that compute on the processor even where there is a GPU. The limit of a core says nothing of others."""


def shares_of(result: Result, graphs: Iterable[GraphRoofline]) -> tuple[Share, ...]:
    """The share of each backend on each graph.

    Args:
        result: of a burst over all of them.
        graphs: with their limits.
    """
    rooflines = {graph.graph: graph for graph in graphs}
    measured = {(m.graph, m.backend): m for m in result.measurements}
    return tuple(
        _share(rooflines[a.graph], a.backend, a.precision, measured.get((a.graph, a.backend))) for a in result.accuracy
    )


def _share(roofline: GraphRoofline, backend: str, precision: str, measurement: Measurement | None) -> Share:
    bare, options = backend_options.split(backend)
    threads = max(int(options.get("threads", 1)), 1)
    limit = roofline.limits.get(precision)
    limit_ns = None if limit is None or limit.limit_ns is None else limit.limit_ns / threads
    latency = None if measurement is None else measurement.latency
    n, p50_ns = (0, None) if latency is None else (latency.n, latency.percentiles["p50"].value_ns)
    reason = ""
    if bare not in ON_THE_PROCESSOR and why_no_gpu() is None:
        reason, limit_ns = "it may compute on the GPU, and the limit is a processor's", None
    elif measurement is None:
        reason = "its answers are wrong"
    elif p50_ns is None:
        reason = "; ".join(measurement.problems) or "there are too few timed calls for a median"
    elif limit_ns is None:
        reason = f"the peak of {precision} on this core is not known"
    share = limit_ns / p50_ns if limit_ns is not None and p50_ns and not reason else None
    return Share(roofline.graph, backend, precision, threads, n, p50_ns, limit_ns, share, reason)
