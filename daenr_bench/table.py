"""A result as tables for a terminal or a log: one for each scenario."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from daenr_bench.contract import TITLES, contract_of, figure, limit
from daenr_bench.measurement import Latency, Measurement, State
from daenr_bench.notes import notes
from daenr_bench.result import Accuracy, Result
from daenr_common.cli import print_table
from daenr_export.graphs.names import in_order

NONE = "–"

Row = Callable[[Measurement], list[str]]


def print_result(result: Result) -> None:
    """Print what was measured, what was skipped, and what to think of the figures."""
    _print_accuracy(result)
    _print_contract(result)
    for scenario, title in _TITLES.items():
        _print_scenario(result, scenario, title)
    _print_on_device(result)
    click.echo()
    for line in notes(result):
        click.echo(line)
    end = "" if result.complete else " (interrupted: not all was measured)"
    click.echo(f"\n{result.bundle.name}: {result.verdict.value}{end}")


def _print_accuracy(result: Result) -> None:
    """By graph, and on each graph in the order of the backends; the latency of a burst beside it."""
    burst = {(m.graph, m.backend): m for m in result.measurements if m.scenario == "burst"}
    faster = f"× {result.reference_backend or 'faster'}"
    by_graph: dict[str, list[Accuracy]] = {}
    for accuracy in result.accuracy:
        by_graph.setdefault(accuracy.graph, []).append(accuracy)
    rows = [
        _accuracy_row(accuracy, burst.get((graph, accuracy.backend)))
        for graph in in_order(by_graph)
        for accuracy in by_graph[graph]
    ]
    headers = ["graph", "backend", "in", "parity", "p50 µs", "p99 µs", "at most", "N", faster]
    shown = len(headers) if burst or not result.measurements else 4
    print_table(headers[:shown], [row[:shown] for row in rows])


def _accuracy_row(accuracy: Accuracy, burst: Measurement | None) -> list[str]:
    head = [accuracy.graph, accuracy.backend, accuracy.precision]
    if accuracy.problems:
        return [*head, "WRONG", *[NONE] * 5]
    if burst is None or burst.latency is None:
        state = State.PASS.value if burst is None else burst.state
        return [*head, {"fail": "WRONG", "fault": "FAULT"}.get(state, _parity(accuracy)), *[NONE] * 5]
    return [*head, _parity(accuracy), *_latency(burst.latency), str(burst.latency.n), _faster(burst)]


def _parity(accuracy: Accuracy) -> str:
    error = accuracy.worst("max_error_over_scale")
    return "ok" if error is None else f"ok, {error:.0e}"


def _print_contract(result: Result) -> None:
    """Each margin, with the figure that decides."""
    kept, standard = contract_of(result.accuracy), result.standard
    if not kept or standard is None:
        return
    click.echo(f"\nmargins ({standard.margins_file or 'daenr'}), {standard.images} images; the worst of all engines")
    rows = [
        (
            TITLES[k.metric],
            limit(k.metric, k.margin),
            figure(k.metric, k.worst.value),
            f"{k.accuracy.graph} on {k.accuracy.backend}" if k.worst.value is not None else k.worst.reason,
            k.verdict.value,
        )
        for k in kept
    ]
    print_table(["", "margin", "worst", "where", "verdict"], rows)


def _latency(latency: Latency) -> list[str]:
    p50, p99 = latency.percentiles["p50"], latency.percentiles["p99"]
    return [_microseconds(value) for value in (p50.value_ns, p99.value_ns, p99.upper_bound_ns)]


def _microseconds(value_ns: int | None) -> str:
    return NONE if value_ns is None else f"{value_ns / 1000:.1f}"


def _faster(measurement: Measurement) -> str:
    return NONE if measurement.times_faster is None else f"{measurement.times_faster:.2f}"


_TITLES = {
    "paced": "on a fixed schedule, latency from the instant a frame is due",
    "paced-warm": "the same, the engine running while the loop waits",
    "cold": "from nothing to the first answer, each time in a new process",
    "throughput": "images per second by batch size",
    "soak": "a paced loop for a long time",
    "loadgen-single-stream": "MLPerf LoadGen, SingleStream",
    "loadgen-offline": "MLPerf LoadGen, Offline",
}


def _print_scenario(result: Result, scenario: str, title: str) -> None:
    measured = [m for m in result.measurements if m.scenario == scenario]
    if not measured:
        return
    click.echo(f"\n{scenario} ({measured[0].graph}): {title}")
    headers, row = _table_of(measured)
    rows = [[m.backend, *(row(m) or _no_figures(m, headers))] for m in measured]
    print_table(["backend", *headers], rows)


def _print_on_device(result: Result) -> None:
    """What the device itself says, beside the latency that a rig feels and never in place of it."""
    told = [(m, m.device) for m in result.measurements if m.device is not None]
    if not told:
        return
    click.echo(f"\nby the device's own clock, {told[0][1].timing_boundary.removeprefix('on the device, ')}")
    rows = []
    for m, device in told:
        host = NONE if m.latency is None else _microseconds(m.latency.percentiles["p50"].value_ns)
        rows.append([m.graph, m.backend, m.scenario, *_latency(device.latency)[:2], str(device.latency.n), host])
    print_table(["graph", "backend", "loop", "p50 µs", "p99 µs", "N", "host to host p50 µs"], rows)


def _no_figures(measurement: Measurement, headers: Sequence[str]) -> list[str]:
    return [measurement.state.upper() if measurement.state != "pass" else NONE, *[NONE] * (len(headers) - 1)]


def _table_of(measured: Sequence[Measurement]) -> tuple[list[str], Row]:
    scenario = measured[0].scenario
    if scenario == "cold":
        stages = next((list(m.cold.stages) for m in measured if m.cold is not None), [])
        return ["with import ms", "without ms", *(f"{stage} ms" for stage in stages)], _cold_row
    if scenario == "throughput":
        sizes = sorted({point.batch for m in measured if m.throughput is not None for point in m.throughput.points})
        return [*(f"{size}" for size in sizes), "saturates at"], lambda m: _throughput_row(m, sizes)
    if scenario.startswith("loadgen"):
        return ["p50 µs", "p90 µs", "p99 µs", "images/s", "samples", "valid"], _loadgen_row
    headers = ["p50 µs", "p99 µs", "at most", "deadline ms", "missed", "longest run", "age p99 ms", "verdict"]
    if scenario == "soak":
        return [*headers, "drift", "memory MiB/h"], lambda m: [*_paced_row(m), *_soak_row(m)]
    return headers, _paced_row


def _paced_row(measurement: Measurement) -> list[str]:
    latency, paced = measurement.latency, measurement.paced
    if latency is None or paced is None:
        return []
    age_ns = None if paced.peak_age is None else paced.peak_age.percentiles["p99"].value_ns
    return [
        *_latency(latency),
        f"{paced.deadline_ns / 1e6:g}",
        f"{paced.misses}/{paced.frames}",
        str(paced.longest_run_of_misses),
        NONE if age_ns is None else f"{age_ns / 1e6:.2f}",
        f"{paced.verdict} at {paced.rate_hz:g} Hz",
    ]


def _soak_row(measurement: Measurement) -> list[str]:
    soak = measurement.soak
    if soak is None:
        return []
    slope = soak.rss_slope_bytes_per_hour
    return [
        NONE if soak.drift is None else f"× {soak.drift:.2f}",
        NONE if slope is None else f"{slope / 2**20:+.1f}",
    ]


def _cold_row(measurement: Measurement) -> list[str]:
    cold = measurement.cold
    if cold is None:
        return []
    spreads = (cold.with_import, cold.without_import, *cold.stages.values())
    return [f"{spread.median_ns / 1e6:.1f}" for spread in spreads]


def _throughput_row(measurement: Measurement, sizes: Sequence[int]) -> list[str]:
    if measurement.throughput is None:
        return []
    points = {point.batch: f"{point.images_per_s:.0f}" for point in measurement.throughput.points}
    saturates_at = measurement.throughput.saturates_at
    return [*(points.get(size, NONE) for size in sizes), "beyond" if saturates_at is None else str(saturates_at)]


def _loadgen_row(measurement: Measurement) -> list[str]:
    run = measurement.loadgen
    if run is None:
        return []
    percentiles = [_microseconds(run.percentiles_ns.get(name)) for name in ("p50", "p90", "p99")]
    return [*percentiles, f"{run.samples_per_s:.0f}", str(run.samples), "yes" if run.valid else "no"]
