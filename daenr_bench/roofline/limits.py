"""The least time that a graph can take on one core, from what it asks for and what the core can do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from daenr_bench.roofline.core import Core
from daenr_bench.roofline.counting import Work
from daenr_bench.roofline.document import WEIGHT_BYTES, GraphLimit, GraphRoofline, Layer, LayerLimit


def sizes_of(graphs: Mapping[str, tuple[Work, ...]]) -> set[int]:
    """Bytes of the weights of each graph at each precision."""
    return {_weight_bytes(works, precision) for works in graphs.values() for precision in WEIGHT_BYTES}


def limit_of(graph: str, works: tuple[Work, ...], core: Core) -> GraphRoofline:
    """The limits of a graph, layer by layer.

    A layer waits for the one before it. Its weights come from where those of the whole graph fit, because the next call
    begins with the first layer again: so the rate is that of reading as many bytes as the graph has, over and over.

    Args:
        graph: its name.
        works: of its layers.
        core: that was measured, with the sizes of `sizes_of`.
    """
    layers = tuple(Layer(work, {}) for work in works)
    limits = {}
    for precision in WEIGHT_BYTES:
        size = _weight_bytes(works, precision)
        reading, peak = core.reading(size), core.peak(precision)
        total = None
        if peak is not None and reading.bytes_per_s is not None:
            total = 0.0
            for layer in layers:
                limit = _limit(layer.work, precision, peak, reading.bytes_per_s.best)
                layer.limits[precision] = limit
                total += limit.limit_ns
        limits[precision] = GraphLimit(size, reading, total)
    return GraphRoofline(graph, layers, limits)


def _limit(work: Work, precision: str, multiply_adds_per_s: float, bytes_per_s: float) -> LayerLimit:
    read = work.weight_bytes(WEIGHT_BYTES[precision])
    return LayerLimit(work.multiply_adds / multiply_adds_per_s * 1e9, read / bytes_per_s * 1e9)


def _weight_bytes(works: Iterable[Work], precision: str) -> int:
    return sum(work.weight_bytes(WEIGHT_BYTES[precision]) for work in works)
