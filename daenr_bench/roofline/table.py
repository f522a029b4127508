"""A roofline as tables for a terminal or a log."""

from __future__ import annotations

from collections.abc import Iterator

import click

from daenr_bench.notes import UNSTEADY
from daenr_bench.roofline.document import (
    WEIGHT_BYTES,
    GraphLimit,
    GraphRoofline,
    Layer,
    Peak,
    Rate,
    Reading,
    Roofline,
    Share,
)
from daenr_bench.table import NONE
from daenr_common.cli import print_table

SHOWN = "fp32"
"""The precision whose limits are shown layer by layer; the JSON file has all."""


def print_roofline(found: Roofline) -> None:
    """Print what the core can do, what the graphs ask for, and how near the backends come."""
    click.echo(f"one core of {found.machine.processor}: at its best, and in the median round")
    print_table(["multiply-adds", "with", "10⁹/s", "median", "rounds"], map(_peak_row, found.peaks))
    click.echo()
    if found.readings:
        print_table(
            ["reading from", "of KiB", "buffer KiB", "10⁹ bytes/s", "median", "rounds"],
            map(_reading_row, found.readings),
        )
    else:
        click.echo("the system does not tell the sizes of its caches; weights are read from wherever they fit")
    click.echo(f"\nwhat one image asks for, and the least time for it in {SHOWN}")
    headers = ["graph", "layer", "multiply-adds", "with zeros", "weights KiB", "moved KiB"]
    print_table([*headers, "compute µs", "read µs", "limit µs"], _layer_rows(found.graphs))
    click.echo("\nlimits")
    print_table(
        ["graph", "multiply-adds", "in", "weights KiB", "fit in", "10⁹ bytes/s", "limit µs"], _limit_rows(found.graphs)
    )
    click.echo("\nshares of the limit, back to back")
    print_table(["graph", "backend", "in", "p50 µs", "limit µs", "share", "N"], map(_share_row, found.shares))
    click.echo()
    for line in _notes(found):
        click.echo(line)
    end = "" if found.complete else " (interrupted: not all was measured)"
    click.echo(f"\n{found.bundle.name}: {found.verdict.value}{end}")


def _peak_row(peak: Peak) -> list[str]:
    return [peak.precision, peak.instructions or NONE, *_rate(peak.multiply_adds_per_s)]


def _reading_row(reading: Reading) -> list[str]:
    size = NONE if reading.level_bytes is None else _kib(reading.level_bytes)
    buffer = _kib(reading.buffer_bytes) if reading.buffer_bytes else NONE
    return [reading.level or NONE, size, buffer, *_rate(reading.bytes_per_s)]


def _rate(rate: Rate | None) -> list[str]:
    if rate is None:
        return [NONE, NONE, NONE]
    return [f"{rate.best / 1e9:.1f}", f"{rate.median / 1e9:.1f}", str(rate.rounds)]


def _layer_rows(graphs: tuple[GraphRoofline, ...]) -> Iterator[list[str]]:
    for graph in graphs:
        yield from (_layer_row(graph.graph, layer) for layer in graph.layers)


def _layer_row(graph: str, layer: Layer) -> list[str]:
    work, limit = layer.work, layer.limits.get(SHOWN)
    times = [NONE] * 3 if limit is None else map(_us, (limit.compute_ns, limit.read_ns, limit.limit_ns))
    sizes = [_kib(work.weight_bytes(WEIGHT_BYTES[SHOWN])), _kib(work.activation_bytes)]
    return [graph, work.layer, f"{work.multiply_adds:,}", f"{work.nominal_multiply_adds:,}", *sizes, *times]


def _limit_rows(graphs: tuple[GraphRoofline, ...]) -> Iterator[list[str]]:
    for graph in graphs:
        head = [graph.graph, f"{graph.multiply_adds:,}"]
        yield from ([*head, precision, *_limit_row(limit)] for precision, limit in graph.limits.items())


def _limit_row(limit: GraphLimit) -> list[str]:
    rate = limit.reading.bytes_per_s
    read = NONE if rate is None else f"{rate.best / 1e9:.1f}"
    return [_kib(limit.weight_bytes), limit.reading.level or NONE, read, _us(limit.limit_ns)]


def _share_row(share: Share) -> list[str]:
    text = NONE if share.share is None else f"{share.share:.2f}"
    return [share.graph, share.backend, share.precision, _us(share.p50_ns), _us(share.limit_ns), text, str(share.n)]


def _notes(found: Roofline) -> Iterator[str]:
    yield (
        "limit: of each layer the longer of its multiply-adds at the peak and its weights at the rate of reading all "
        "weights of the graph; nothing else that a call does is in it"
    )
    yield from _remarks(found)
    for subject, reason in _reasons(found):
        yield f"cannot tell {subject}: {reason}"
    for skip in found.skipped:
        yield f"left out {skip.backend}{f' on {skip.graph}' if skip.graph else ''}: {skip.reason}"


def _remarks(found: Roofline) -> Iterator[str]:
    """What limits the trust in shares."""
    if any(share.share is not None and share.share > 1 for share in found.shares):
        yield "note: a share above 1 is of a backend that multiplies less than the direct method, as Winograd's does"
    rates = [peak.multiply_adds_per_s for peak in found.peaks if peak.multiply_adds_per_s is not None]
    worst = max((rate.best / rate.median for rate in rates), default=1.0)
    if worst > UNSTEADY:
        yield (
            f"note: the core's best round did {worst:.1f} times what its median round did: something else is running, "
            "and makes shares smaller than they are on a quiet machine"
        )


def _reasons(found: Roofline) -> Iterator[tuple[str, str]]:
    """What is missing from the tables, and why."""
    missing = [(f"{peak.precision} {peak.instructions}".strip(), peak.reason) for peak in found.peaks]
    missing += [(f"reading from {reading.level}", reading.reason) for reading in found.readings]
    missing += [(f"the share of {share.backend} on {share.graph}", share.reason) for share in found.shares]
    yield from ((subject, reason) for subject, reason in missing if reason)


def _us(time_ns: float | None) -> str:
    return NONE if time_ns is None else f"{time_ns / 1000:.1f}"


def _kib(size: int) -> str:
    return f"{size / 1024:.1f}"
